"""How operations are rewritten: names, paths, and what is refused."""

import keras
import numpy as np
import pytest
from keras import ops

import tfopt
from tfopt.quantization import Scaling, left_in_float
from tfopt.quantization.canonicalize.canonicalize import canonical
from tfopt.quantization.operators.op_traits import Kind
from tfopt.quantization.operators.traits import kind


def _rewritten(operation, shape=(4, 4, 2)):
    inputs = keras.Input(shape)
    model, paths = canonical(keras.Model(inputs, operation(inputs)))
    return [layer.name for layer in model.layers[1:]], paths, model


def test_parts_are_named_after_the_whole():
    names, paths, _ = _rewritten(keras.layers.Conv2D(3, 1, activation="hard_silu", name="conv"))
    assert names == [
        "conv",
        "conv.hard_silu.hard_sigmoid.plus_3",
        "conv.hard_silu.hard_sigmoid.relu6",
        "conv.hard_silu.hard_sigmoid",
        "conv.hard_silu",
    ]
    assert paths["conv.hard_silu.hard_sigmoid"] == "conv/hard_silu/hard_sigmoid"


def test_a_constant_that_changes_nothing_leaves_no_layer():
    names, _, _ = _rewritten(keras.layers.Rescaling(1.0))
    assert names == []
    names, _, _ = _rewritten(keras.layers.Rescaling(2.0, name="twice"))
    assert names == ["twice"]
    names, _, _ = _rewritten(keras.layers.Rescaling(2.0, 1.0, name="line"))
    assert names == ["line.scale", "line"]


def test_a_shared_layer_stays_shared():
    inputs = keras.Input((4, 4, 2))
    shared = keras.layers.Conv2D(2, 1, activation="silu", name="conv")
    model, _ = canonical(keras.Model(inputs, shared(shared(inputs))))
    assert len([layer for layer in model.layers if layer.name == "conv"]) == 1
    assert len(model.get_weights()) == 2


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        (lambda x: ops.maximum(x, 0.3), lambda x: np.maximum(x, 0.3)),
        (lambda x: ops.maximum(-0.3, x), lambda x: np.maximum(x, -0.3)),
        (lambda x: ops.maximum(x, 0), lambda x: np.maximum(x, 0)),
        (lambda x: ops.minimum(x, 0), lambda x: np.minimum(x, 0)),
        (lambda x: ops.clip(x, -1, 0.5), lambda x: np.clip(x, -1, 0.5)),
        (lambda x: 1 - x, lambda x: 1 - x),
        (lambda x: x - np.array([1.0, 2.0], "float32"), lambda x: x - np.array([1, 2])),
        (lambda x: x / 4, lambda x: x / 4),
        (lambda x: x**2, lambda x: x**2),
    ],
)
def test_rewritten_arithmetic_is_the_same(operation, function):
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype("float32")
    names, _, model = _rewritten(operation)
    np.testing.assert_allclose(model(x), function(x), atol=1e-6)
    assert names


def test_numbers_are_operators_and_channels_are_convolutions():
    assert kind(Scaling(2.0)) is Kind.SCALING
    assert kind(Scaling([1.0, 2.0])) is Kind.NORMALIZATION
    x = np.ones((1, 2), "float32")
    scaling = Scaling.from_config(Scaling([1.0, 2.0], 3.0).get_config())
    np.testing.assert_allclose(scaling(x), [[4.0, 5.0]])


def test_a_division_by_a_tensor_stays_in_float():
    inputs = keras.Input((4, 4, 2))
    a, b = keras.layers.Conv2D(2, 1)(inputs), keras.layers.Conv2D(2, 1)(inputs)
    (path,) = left_in_float(keras.Model(inputs, a / b))
    assert "divide" in path


def test_names_of_a_loaded_model_do_not_clash(tmp_path):
    inputs = keras.Input((4, 4, 2))
    x = ops.silu(keras.layers.Conv2D(2, 1)(inputs)) * 2.0
    keras.Model(inputs, ops.silu(x) + x).save(tmp_path / "model.keras")
    keras.backend.clear_session()  # names count from the start again, as in a new process
    quantized = tfopt.quantize_aware(keras.models.load_model(tmp_path / "model.keras"))
    assert len({layer.name for layer in quantized.layers}) == len(quantized.layers)


@pytest.mark.parametrize(
    "by_hand",
    [
        lambda x: x * ops.relu6(x + 3.0) / 6.0,
        lambda x: keras.layers.Multiply()([ops.relu6(x + 3.0), x]) * (1.0 / 6.0),
        lambda x: x * (ops.relu6(x + 3.0) / 6.0),
        lambda x: x * ops.clip(x + 3.0, 0.0, 6.0) / 6.0,
    ],
)
def test_hard_swish_by_hand_is_the_operators_that_it_is_made_of(by_hand):
    """The converter's HARD_SWISH has no rounding between them, and is slow in int8."""
    inputs = keras.Input((6, 6, 2))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(by_hand(keras.layers.Conv2D(4, 3)(inputs))))
    x = np.random.default_rng(0).normal(scale=3.0, size=(32, 6, 6, 2)).astype("float32")
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert "HARD_SWISH" not in {operator.name for operator in file.summary().operators}
    assert not file.summary().float_operators
    assert file.verify(quantized, x).max_lsb <= 1
