"""Tensors of a file are matched with steps of a model by names, and where these say nothing by values."""

import numpy as np
import pytest

from tfopt.export.debug.intermediate_tensors import FileTensor
from tfopt.export.debug.match_tensors import Matcher, path_of
from tfopt.graph import EvaluatedStep
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer

RANDOM = np.random.default_rng(0)
QUANTIZER = FixedQuantizer(-4.0, 4.0, name="rounded")
CONV = RANDOM.normal(size=(2, 12))
STEPS = [
    EvaluatedStep(0, "image", None, ()),
    EvaluatedStep(1, "block/conv", object(), (0,)),
    EvaluatedStep(2, "conv.quantizer", QUANTIZER, (1,)),
    EvaluatedStep(3, "head", object(), (2,)),
]
VALUES = {0: RANDOM.normal(size=(2, 8)), 1: CONV, 2: np.rint(CONV * 30) / 30, 3: RANDOM.normal(size=(2, 5))}


def tensor(name, index, scale=1 / 30):
    return FileTensor(index, index, name, "CONV_2D", "int8" if scale else "float32", (1, 12), scale, 0)


def matched(*pairs):
    """Return name of the tensor -> number of the step; of (tensor, values) pairs."""
    tensors = [each for each, _ in pairs]
    found, unmatched = Matcher(STEPS, VALUES).match(
        tensors, {each.index: values for each, values in pairs}, {}
    )
    return {each.name: number for number, (_, each) in found.items()}, [each.name for each in unmatched]


def near(number):
    return VALUES[number] + 0.01 * RANDOM.normal(size=VALUES[number].shape)


@pytest.mark.parametrize(
    "name", ["block/conv:convolution", "model_1/block/conv_2/Conv2D", "relu:Relu;block/conv:convolution"]
)
def test_integers_are_those_after_the_quantizer_of_the_layer_that_is_named(name):
    assert matched((tensor(name, 7), near(2))) == ({name: 2}, [])


def test_floats_are_those_before_it():
    assert matched((tensor("block/conv:convolution", 7, scale=None), near(1))) == (
        {"block/conv:convolution": 1},
        [],
    )


def test_without_a_name_values_decide():
    assert matched((tensor("t7", 7), near(3))) == ({"t7": 3}, [])


def test_what_is_like_nothing_has_no_match():
    assert matched((tensor("t7", 7), RANDOM.normal(size=(2, 5)))) == ({}, ["t7"])


def test_of_two_tensors_of_a_layer_its_result_is_the_closer_one():
    inside, result = tensor("block/conv:MatMul", 7), tensor("block/conv:Add", 8)
    found, _ = matched((inside, 2 * near(2)), (result, near(2)))
    assert found == {"block/conv:Add": 2}


def test_the_path_of_a_quantizer_is_that_of_its_input():
    assert [path_of(STEPS, number) for number in range(4)] == ["image", "block/conv", "block/conv", "head"]
