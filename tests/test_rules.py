"""Layer-path rules."""

import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.rules import resolve

PATHS = ["conv1", "conv10", "block/conv1", "block/dense", "head"]


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        ({"conv1": 1}, ["conv1"]),
        ({"conv*": 1}, ["conv1", "conv10"]),
        ({"*/conv1": 1}, ["block/conv1"]),
        ({"*conv1": 1}, ["conv1", "block/conv1"]),
        ({"block": 1}, ["block/conv1", "block/dense"]),
        ({"*": 1}, PATHS),
        (None, []),
    ],
)
def test_a_pattern_is_a_glob_on_the_path_or_on_a_parent(rules, chosen):
    assert [path for path, setting in resolve(rules, PATHS, 0).items() if setting] == chosen


def test_the_first_match_wins():
    assert resolve({"head": 1, "*": 2}, PATHS, 0) == {**dict.fromkeys(PATHS, 2), "head": 1}


@pytest.mark.parametrize("rules", [{"cnv1": 1}, {"*": 1, "head": 2}])
def test_a_rule_that_decides_nothing_raises_and_lists_the_layers(rules):
    with pytest.raises(InvalidArgumentError, match=r"matches no layer, or an earlier.*block/dense"):
        resolve(rules, PATHS, 0)


def test_a_rule_with_a_misprint_names_the_closest_layer():
    with pytest.raises(
        InvalidArgumentError, match=r"The rule 'haed' matches no layer.* Did you mean 'head'\?"
    ):
        resolve({"haed": 1}, PATHS, 0)
    with pytest.raises(InvalidArgumentError, match=r"The rules 'x1', 'x2' match no layer"):
        resolve({"x1": 1, "x2": 1}, PATHS, 0)
