"""What the converter is given in place of quantizers to 16 bits, and what the exporter remembers of them."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt import graph
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec, as_int8
from tfopt.quantization import FixedQuantizer, calibrate

L = keras.layers
X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")


def lowered(rules=None, path=None, scheme="int16x8"):
    x = keras.Input((4,), name="x")
    hidden = L.Dense(6, name="a")(x)
    model = keras.Model(x, L.Dense(2, activation="softmax", name="c")(L.Dense(3, name="b")(hidden)))
    quantized = tfopt.quantize_aware(model, scheme, rules=rules)
    calibrate(quantized, X)
    if path is not None:
        quantized.save(path)
        quantized = keras.saving.load_model(path)
    return graph.lower(quantized)


def quantizers(model):
    return {layer.name: layer for _, layer in graph.layers(model) if isinstance(layer, FixedQuantizer)}


def test_the_scales_stay_and_the_bits_are_8():
    model = lowered()
    before = {name: (x.maximum - x.minimum) / 65535 for name, x in quantizers(model).items()}
    found = as_int8(model)
    for name in ("x.quantizer", "a.quantizer", "b.quantizer", "c.quantizer"):
        layer = quantizers(model)[name]
        assert layer.num_bits == 8
        assert (layer.maximum - layer.minimum) / 255 == pytest.approx(before[name])
        assert before[name] in found.scales
    assert found.fixed == {"c.softmax"}
    assert (quantizers(model)["c.softmax.quantizer"].minimum, len(found.scales)) == (0.0, 4)
    assert not found.int8_grids


@pytest.mark.parametrize("saved", [False, True])
def test_what_is_requantized_is_known_by_the_layer(saved, tmp_path):
    model = lowered({"b": "int8"}, tmp_path / "model.keras" if saved else None)
    layer = quantizers(model)["a.int8.quantizer"]
    assert layer.requantizes == "a.quantizer"
    layer.name = "of_any_name"
    source = quantizers(model)["a.quantizer"]
    scale = (source.maximum - source.minimum) / 65535
    (found,) = as_int8(model).int8_grids.items()
    assert found[0] == pytest.approx(scale)
    assert found[1][0] == pytest.approx((layer.maximum - layer.minimum) / 255)


def test_without_16_bits_nothing_changes():
    model = lowered(scheme="int8")
    before = {name: (x.minimum, x.maximum) for name, x in quantizers(model).items()}
    found = as_int8(model)
    assert not found.scales
    assert not found.fixed
    assert before == {name: (x.minimum, x.maximum) for name, x in quantizers(model).items()}


def test_scales_of_the_file_are_known_to_float32():
    own, other = 2.0 / 32767, 3.0 / 32767
    found = Int16Spec(scales={own, other}, int8_grids={own: (0.1, -3)}, cut=[(other, X)])
    in_file = float(np.float32(own))
    assert in_file != own
    assert found.has_scale(in_file)
    assert not found.has_scale(1.001 * own)
    assert found.requantized(in_file) == (0.1, -3)
    assert found.requantized(other) is None
    assert found.constants_of(in_file) == []
    ((scale, values),) = found.constants_of(float(np.float32(other)))
    assert scale == other
    assert values is X
