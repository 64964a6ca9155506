"""Layer-path rules."""

import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.rules import matched_part, resolve

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


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        ({"block": 1}, ["block.conv", "block.inner.conv"]),
        ({"block/conv": 1}, ["block.conv"]),
        ({"block.conv": 1}, ["block.conv"]),
        ({"*/conv": 1}, ["block.conv", "block.inner.conv"]),
        ({"block/inner": 1}, ["block.inner.conv"]),
        ({"conv": 1}, ["conv"]),
    ],
)
def test_flattened_paths_are_matched_as_what_they_were(rules, chosen):
    paths = ["conv", "block.conv", "block.inner.conv", "blockade"]
    assert [path for path, setting in resolve(rules, paths, 0).items() if setting] == chosen
    nested = [path.replace(".", "/") for path in paths]
    assert [each for each, setting in resolve(rules, nested, 0).items() if setting] == [
        path.replace(".", "/") for path in chosen
    ]


def test_the_part_that_a_pattern_matches():
    assert matched_part("block/conv", "block") == "block"
    assert matched_part("block.inner.conv", "block/i*r") == "block.inner"
    assert matched_part("block/conv", "*") == "block"
    assert matched_part("conv", "conv") == "conv"
