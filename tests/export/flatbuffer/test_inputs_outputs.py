import numpy as np

from tests.export.handmade import Handmade, tensor_of
from tfopt.export.flatbuffer.inputs_outputs import inputs_and_outputs


def test_a_float_output_that_was_dequantized_has_the_scale_of_its_integers():
    made = Handmade()
    x, y = made.tensor("x", scale=0.5, zero_point=-7), made.tensor("y", scale=0.25)
    z = made.tensor("z", "float32")
    made.call("TANH", [x], [y])
    made.call("DEQUANTIZE", [y], [z])
    (first,), (last,) = inputs_and_outputs(made.parsed([x], [z]).model)
    assert (first.name, first.dtype, first.scale, first.zero_point, first.step) == ("x", "int8", 0.5, -7, 0.5)
    assert (last.name, last.dtype, last.scale, last.step) == ("z", "float32", None, 0.25)


def test_open_sizes_are_none_and_the_batch_is_not():
    made = Handmade()
    x = made.tensor("x", "float32", shape=(1, 1, 3))
    file = made.parsed([x], [x])
    tensor_of(file, "x").shapeSignature = np.array([-1, -1, 3], np.int32)
    (spec,), _ = inputs_and_outputs(file.model)
    assert spec.shape == (1, None, 3)
    assert spec.batch_size == 1
