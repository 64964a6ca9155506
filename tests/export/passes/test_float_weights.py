"""Weights that the plan has in float are those of the model again."""

import numpy as np
import pytest

from tests.export.handmade import Handmade, tensor_of, values_of
from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.keras_graph.expected_tensors import FLOAT, FilePlan, Grid
from tfopt.export.passes.float_weights import restore_float_weights

KERNEL = np.random.default_rng(0).normal(size=(2, 2, 3, 4)).astype("float32")
"""Height, width, outputs, inputs, as Keras has them; the file has the outputs in front."""
IN_FLOAT = frozenset({FLOAT})


def plan(**fields):
    return FilePlan(
        **{"layers": {"up": IN_FLOAT}, "makes": {"up": IN_FLOAT}, "float_weights": {"up": (KERNEL,)}} | fields
    )


def transposed(kernel=KERNEL):
    made = Handmade()
    x, y = made.tensor("x", "float32"), made.tensor("up:conv_transpose", "float32")
    weights = kernel.transpose(2, 0, 1, 3)
    scales = np.abs(weights).max(axis=(1, 2, 3)) / 127
    integers = np.rint(weights / scales[:, None, None, None])
    stored = made.tensor("up:kernel", scale=scales, values=integers)
    shape = made.tensor("shape", "int32", values=[1, 4, 4, 3])
    made.call("TRANSPOSE_CONV", [shape, stored, x], [y])
    return made.parsed([x], [y])


def test_rounded_weights_of_a_layer_in_float_are_put_back():
    file = transposed()
    assert restore_float_weights(file, plan())
    assert tensor_of(file, "up:kernel").quantization is None
    np.testing.assert_array_equal(values_of(file, "up:kernel"), KERNEL.transpose(2, 0, 1, 3).ravel())


@pytest.mark.parametrize(
    "fields",
    [
        {"weights": frozenset({"up"})},
        {"makes": {"up": frozenset({Grid("int8", 0.1, 0)})}},
        {"layers": {"other": IN_FLOAT}},
        {"float_weights": {"up": (2 * KERNEL,)}},
    ],
    ids=["integer weights", "integer activations", "another layer", "other weights"],
)
def test_others_stay_integers(fields):
    file = transposed()
    assert not restore_float_weights(file, plan(**fields))
    assert type_name(tensor_of(file, "up:kernel")) == "int8"
