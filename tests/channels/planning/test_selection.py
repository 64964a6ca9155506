import numpy as np
import pytest

from tests.channels.two_convolutions import FIRST, SECOND, two_convolutions
from tfopt.channels.planning.group_rules import group_settings, makers
from tfopt.channels.planning.selection import select
from tfopt.errors import InvalidArgumentError


def test_local_scope_takes_the_same_share_of_each_group():
    scores = np.arange(20.0)
    keep = select(two_convolutions(), scores, 0.5, scope="local", round_to=1)
    assert np.flatnonzero(keep).tolist() == [4, 5, 6, 7, 14, 15, 16, 17, 18, 19]


def test_global_scope_compares_the_units_of_all_groups():
    scores = np.concatenate([np.linspace(0, 1, 8), np.linspace(0.5, 2, 12)])
    keep = select(two_convolutions(), scores, 0.5, round_to=1)
    assert keep.sum() == 10
    assert scores[keep].min() > scores[~keep].max()


def test_global_scope_meets_the_ratio_after_rounding_and_leaves_a_minimum():
    scores = np.concatenate([np.linspace(0, 0.1, 8), np.linspace(1, 2, 12)])
    keep = select(two_convolutions(), scores, 0.5, round_to=8)
    assert (keep[FIRST].sum(), keep[SECOND].sum()) == (2, 8)
    keep = select(two_convolutions(), scores, 0.99, round_to=1)
    assert (keep[FIRST].sum(), keep[SECOND].sum()) == (1, 2)
    keep = select(two_convolutions(), scores, 0.99, round_to=1, min_share=0.5)
    assert (keep[FIRST].sum(), keep[SECOND].sum()) == (4, 6)


def test_groups_with_a_share_of_their_own_are_out_of_the_scope():
    scores = np.arange(20.0)
    keep = select(two_convolutions(), scores, 0.5, own={"conv1": None, "conv2": 0.5}, round_to=1)
    assert keep[FIRST].all()
    assert keep[SECOND].sum() == 6
    keep = select(two_convolutions(), scores, 0.5, own={"conv1": 0.25}, round_to=1)
    assert keep[FIRST].sum() == 6
    assert keep[SECOND].sum() == 6


@pytest.mark.parametrize("scope", ["global", "local"])
def test_shares_can_be_of_widths_that_were(scope):
    keep = select(
        two_convolutions(), np.ones(20), 0.5, scope=scope, round_to=1, whole={"conv1": 10, "conv2": 20}
    )
    assert keep.sum() == 15
    keep = select(
        two_convolutions(), np.ones(20), 0.2, scope=scope, round_to=1, whole={"conv1": 20, "conv2": 20}
    )
    assert keep.all()


def test_without_a_ratio_groups_with_a_share_alone_are_cut():
    keep = select(two_convolutions(), np.ones(20), None, own={"conv1": 0.5}, round_to=1)
    assert (keep[FIRST].sum(), keep[SECOND].sum()) == (4, 12)


@pytest.mark.parametrize("scope", ["global", "local"])
def test_equal_scores_are_cut_to_the_width_all_the_same(scope):
    keep = select(two_convolutions(), np.ones(20), 0.5, scope=scope, round_to=1)
    assert (keep[FIRST].sum(), keep[SECOND].sum()) == (4, 6)


def test_rules_are_of_layers_and_set_groups():
    dependencies = two_convolutions()
    assert makers(dependencies) == {"conv1": ["conv1"], "conv2": ["conv2"]}
    assert group_settings(dependencies, None) == {}
    rules = {"conv1": 0.25, "conv*": None, "head": None}
    assert group_settings(dependencies, rules) == {"conv1": 0.25, "conv2": None}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"convolution": 0.5}, "The rule 'convolution' matches no layer.*Layers: conv1, conv2, head"),
        ({"conv1": 1.0}, r"the share that the rules give to 'conv1' to be a finite number in \[0, 1\)"),
        ({"head": 0.5}, "'head' the share 0.5, and its channels all stay: an output of the model"),
    ],
)
def test_rules_that_cannot_be_followed(rules, message):
    with pytest.raises(InvalidArgumentError, match=message):
        group_settings(two_convolutions(), rules)
