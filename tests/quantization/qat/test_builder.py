"""The builder creates what the plan describes, and nothing else."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.graph import layers
from tfopt.quantization import ActivationQuantizer, FixedQuantizer, WeightQuantizer
from tfopt.quantization.planning.float_boundary import FloatBoundary
from tfopt.quantization.planning.quantization_plan import QuantizerSpec
from tfopt.quantization.qat.builder import quantizer_of
from tfopt.quantization.quantizers.activation_int16 import WideQuantizer

L = keras.layers


def chain():
    x = keras.Input((4,), name="x")
    return keras.Model(
        x, L.Dense(2, activation="sigmoid", name="c")(L.Dense(3, name="b")(L.Dense(4, name="a")(x)))
    )


def recurrent():
    x = keras.Input((5, 3), name="x")
    return keras.Model(x, L.Dense(2, name="out")(L.GRU(4, name="gru")(x)))


def shared():
    x, dense = keras.Input((4,), name="x"), L.Dense(4, name="dense")
    return keras.Model(x, L.Concatenate(name="both")([dense(x), L.ReLU(name="relu")(dense(dense(x)))]))


@pytest.mark.parametrize("make", [chain, recurrent, shared])
@pytest.mark.parametrize(
    ("scheme", "rules"),
    [
        ("int8", {}),
        ("int16x8", {}),
        ("int16x8", {"out": "int8", "b": "int8"}),
        ("dynamic", {}),
        ("int8", {"b": None}),
    ],
)
def test_the_layers_are_those_of_the_plan(make, scheme, rules):
    model = make()
    names = {layer.name for layer in model.layers}
    rules = {path: value for path, value in rules.items() if path in names}
    plan = tfopt.plan(model, scheme, rules=rules)
    found = dict(layers(tfopt.quantize_aware(model, scheme, rules=rules)))
    quantizers = {
        path: layer
        for path, layer in found.items()
        if isinstance(layer, (ActivationQuantizer, FixedQuantizer))
    }
    assert quantizers.keys() == {spec.name for spec in plan.quantizers}
    for spec in plan.quantizers:
        expected = quantizer_of(spec)
        assert type(quantizers[spec.name]) is type(expected)
        assert quantizers[spec.name].get_config() == expected.get_config()
    weights = [layer.scheme for layer in found.values() if isinstance(layer, WeightQuantizer)]
    assert weights == [spec.scheme for spec in plan.weights]
    boundaries = {path for path, layer in found.items() if isinstance(layer, FloatBoundary)}
    assert boundaries == {*plan.boundaries}


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({"bits": 8}, ActivationQuantizer, {"observer": "moving_average", "requantizes": None}),
        (
            {"bits": 8, "observer": "mse", "nonnegative": True, "count": 3},
            ActivationQuantizer,
            {"tensors": 3},
        ),
        ({"bits": 8, "requantizes": "a.quantizer"}, ActivationQuantizer, {"requantizes": "a.quantizer"}),
        ({"bits": 16, "observer": "mse", "symmetric": True}, WideQuantizer, {"observer": "mse"}),
        (
            {"bits": 16, "limits": (-1.0, 32767 / 32768), "inference_only": True},
            FixedQuantizer,
            {"num_bits": 16, "inference_only": True},
        ),
    ],
)
def test_a_quantizer_of_each_kind(settings, kind, expected):
    layer = quantizer_of(QuantizerSpec(name="q", tensors=("a",), **settings))
    assert type(layer) is kind
    assert layer.name == "q"
    assert expected.items() <= layer.get_config().items()


def test_planning_changes_nothing():
    model = chain()
    before = [(variable.path, variable.numpy()) for variable in model.variables]
    tfopt.plan(model, preserve=())
    for (path, value), variable in zip(before, model.variables, strict=True):
        assert path == variable.path
        np.testing.assert_array_equal(value, variable.numpy())
    assert all(variable.constraint is None for variable in model.variables)
