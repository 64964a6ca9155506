"""Each tensor of a file is compared with the plan: its type, its scale and its zero point."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers as L

import tfopt
from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.fields import operator_name, per_tensor
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.write import serialize
from tfopt.export.keras_graph.expected_tensors import FLOAT, Grid
from tfopt.export.keras_graph.freeze import freeze
from tfopt.export.passes.check_plan import differences, require_planned

X = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2), name="image")
    x = L.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = L.Conv2DTranspose(4, 3, name="up")(L.Add(name="sum")([x, L.Conv2D(4, 1, name="side")(x)]))
    quantized = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3, name="head")(x)), rules={"up": None})
    tfopt.quantization.calibrate(quantized, X)
    return quantized


@pytest.fixture(scope="module")
def plan(model):
    return freeze(model).plan


def changed(file, operator, change):
    content = parse(bytes(file))
    graph = content.subgraphs[0]
    found = next(op for op in graph.operators if operator_name(content, op) == operator)
    change(content, graph, found)
    return serialize(content)


def set_grid(scale_by=1.0, zero_point_by=0, type_=None):
    def change(_, graph, operator):
        tensor = graph.tensors[operator.outputs[0]]
        if type_ is not None:
            tensor.type = getattr(schema.TensorType, type_)
        if type_ == "FLOAT32":
            tensor.quantization = None
            return
        grid = tensor.quantization or schema.QuantizationParametersT()
        scale, zero_point = per_tensor(tensor)
        grid.scale = np.array([(scale or 0.1) * scale_by], np.float32)
        grid.zeroPoint = np.array([(zero_point or 0) + zero_point_by], np.int64)
        tensor.quantization = grid

    return change


def test_the_plan_says_what_each_layer_makes(plan):
    assert plan.makes["up"] == {FLOAT}
    assert plan.in_float("up")
    assert not plan.in_float("sum")
    assert all(grid.dtype == "int8" for grid in plan.makes["conv"] | plan.makes["sum"] | plan.makes["head"])
    assert "up: float32" in plan.table()
    assert {*plan.quantizers} == {"image", "conv.relu", "side", "sum", "up", "head"}


def test_the_file_is_what_was_planned(model, plan):
    assert differences(ParsedFile(bytes(tfopt.to_tflite(model))), plan) == []


@pytest.mark.parametrize(
    ("operator", "change", "layer", "message"),
    [
        ("ADD", set_grid(scale_by=1.01), "sum", "the file has int8"),
        ("ADD", set_grid(zero_point_by=1), "sum", "the file has int8"),
        ("ADD", set_grid(type_="FLOAT32"), "sum", "the file has float32"),
        ("FULLY_CONNECTED", set_grid(scale_by=0.5), "head", "operator FULLY_CONNECTED"),
        ("TRANSPOSE_CONV", set_grid(type_="INT8"), "up", "the file has int8"),
    ],
)
def test_a_difference_names_the_layer_what_was_planned_and_what_was_found(
    model, plan, operator, change, layer, message
):
    content = changed(tfopt.to_tflite(model), operator, change)
    with pytest.raises(ConversionError, match=rf"'{layer}'.* was planned as .*?{message}"):
        require_planned(ParsedFile(content), plan)


def test_a_rounding_that_was_left_out_is_found(model, plan):
    def skip(_, graph, operator):
        grid = graph.tensors[operator.outputs[0]].quantization
        for tensor in graph.tensors:
            if tensor.quantization is not None and np.array_equal(tensor.quantization.scale, grid.scale):
                tensor.quantization.scale = tensor.quantization.scale * np.float32(3)

    found = differences(ParsedFile(changed(tfopt.to_tflite(model), "ADD", skip)), plan)
    assert any(each.layer == "sum" and each.found is None for each in found)


class Neutral(L.Layer):
    """Scores times a scale that starts at 1, and plus a bias that starts at 0."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.bias = self.add_weight(shape=(shape[-1],), initializer="zeros", name="bias")

    def call(self, x):
        return keras.ops.softmax(keras.ops.matmul(x, keras.ops.swapaxes(x, 1, 2)) * self.scale + self.bias)


def test_the_converter_may_leave_out_what_changes_nothing():
    """With ranges of their own: such as a copy has that was trained for a step that moved no weight."""
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, L.Dense(2)(Neutral(name="neutral")(L.Dense(4)(inputs))))
    x = np.random.default_rng(0).normal(size=(32, 4, 4)).astype("float32")
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, x)
    for layer in quantized.layers:
        if layer.name.startswith(("neutral.multiply", "neutral.add")) and hasattr(layer, "maximum"):
            layer.maximum.assign(1.01 * layer.maximum)
    assert tfopt.to_tflite(quantized).verify(quantized, x, classification=False).passed


def test_float_weights_stay_those_of_the_model(model):
    """The converter rounds the kernels of transposed convolutions in float too."""
    file = parse(bytes(tfopt.to_tflite(model)))
    graph = file.subgraphs[0]
    found = next(op for op in graph.operators if operator_name(file, op) == "TRANSPOSE_CONV")
    kernel = graph.tensors[found.inputs[1]]
    values = np.asarray(file.buffers[kernel.buffer].data).view(np.float32).reshape(kernel.shape)
    np.testing.assert_array_equal(values, model.get_layer("up").kernel.numpy().transpose(2, 0, 1, 3))


def test_a_grid_reads_like_a_formula():
    assert str(Grid("int8", 0.5, -3)) == "int8 0.5 * (q - -3)"
    assert str(FLOAT) == "float32"
