"""A bias of one number in all channels is that number in the scale of each."""

import numpy as np
import pytest

from tests.export.handmade import Handmade, tensor_of, values_of
from tfopt.export.passes.fix_biases import fix_uniform_biases

SCALES = [0.1, 0.2, 0.4]


def convolution(bias, scales=SCALES, other=None):
    """Return a file of a convolution, and of a second one whose bias has the same buffer."""
    made = Handmade()
    x, y = (made.tensor(name, scale=0.5) for name in "xy")
    weights = made.tensor("weights", scale=1.0, values=np.ones((3, 1, 1, 2)))
    added = made.tensor("bias", "int32", scale=scales, values=bias)
    made.call("CONV_2D", [x, weights, added], [y])
    if other is not None:
        second = made.tensor("other", "int32", scale=other, values=bias)
        made.graph.tensors[second].buffer = made.graph.tensors[added].buffer
        made.call("CONV_2D", [x, weights, second], [made.tensor("z", scale=0.5)])
    return made.parsed([x], [y])


def test_a_uniform_bias_is_divided_by_the_scale_of_each_channel():
    file = convolution([120, 120, 120])
    assert fix_uniform_biases(file)
    np.testing.assert_array_equal(values_of(file, "bias"), [120, 60, 30])
    np.testing.assert_allclose(tensor_of(file, "bias").quantization.scale, SCALES)


@pytest.mark.parametrize(
    ("bias", "scales"), [([120, 60, 30], SCALES), ([0, 0, 0], SCALES), ([7, 7, 7], [0.1, 0.1, 0.1])]
)
def test_others_stay(bias, scales):
    file = convolution(bias, scales)
    assert not fix_uniform_biases(file)
    np.testing.assert_array_equal(values_of(file, "bias"), bias)


def test_a_bias_that_shares_the_buffer_and_is_right_stays():
    file = convolution([8, 8, 8], other=[0.1, 0.1, 0.1])
    assert fix_uniform_biases(file)
    np.testing.assert_array_equal(values_of(file, "bias"), [8, 4, 2])
    np.testing.assert_array_equal(values_of(file, "other"), [8, 8, 8])
