"""Int8 operators that the delegate does not take are lowered: the same numbers, and faster."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.fields import operator_name, text
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.replace_operator import Replacement
from tfopt.export.flatbuffer.write import serialize
from tfopt.export.passes import plan
from tfopt.export.passes.run import Pass, run_passes
from tfopt.export.runtime.tflite_model import TFLiteModel
from tfopt.export.xnnpack import lower
from tfopt.export.xnnpack.costs import AS_IT_IS, COSTS, IN_FLOAT, OperatorCost, Work
from tfopt.quantization import calibrate

# On the grid of the input, whose rounding is no concern here.
X = (np.random.default_rng(0).integers(-128, 128, (64, 16, 16, 16)) / 32).astype("float32")


def _slopes(low, high):
    return keras.initializers.RandomUniform(low, high, seed=1)


LAYERS = {
    "half": L.AveragePooling2D(2, name="half"),
    "cut": L.AveragePooling2D(3, 1, padding="same", name="cut"),
    "whole": L.AveragePooling2D(16, name="whole"),
    "large": L.AveragePooling2D(6, name="large"),
    "corner": L.AveragePooling2D(2, 1, padding="same", name="corner"),
    "positive": L.PReLU(_slopes(0, 0.5), shared_axes=[1, 2], name="positive"),
    "mixed": L.PReLU(_slopes(-1.2, 0.8), shared_axes=[1, 2], name="mixed"),
    "single": L.PReLU(_slopes(0.1, 0.2), shared_axes=[1, 2, 3], name="single"),
    "all": L.PReLU(_slopes(0, 0.5), name="all"),
    "flat": L.PReLU("zeros", shared_axes=[1, 2], name="flat"),
    "softmax": L.Softmax(name="softmax"),
}
ALL = [X] * len(LAYERS)
ALL[-1] = X.reshape(64, 16, 256)
DEPTHWISE, PRODUCT = {"DEPTHWISE_CONV_2D"}, {"DEPTHWISE_CONV_2D", "MUL"}
PRELU = {"MAXIMUM", "SUB"}
BECOME = {
    "half": DEPTHWISE,
    "cut": PRODUCT,
    "whole": {"MEAN"},
    "large": {"AVERAGE_POOL_2D"},
    "corner": {"AVERAGE_POOL_2D"},
    "positive": PRELU,
    "mixed": PRELU | {"MINIMUM"},
    "single": PRELU,
    "all": PRELU,
    "flat": PRELU,
    "softmax": {"SOFTMAX"},
}
"""Layer -> its operators in a file of integers; and those that multiply by slopes, which take as long."""


@pytest.fixture(scope="module")
def quantized():
    """A model of every layer above, each on an input of its own: of PReLUs on one tensor the converter makes
    other operators."""
    shapes = (x.shape[1:] for x in ALL)
    inputs = {name: keras.Input(shape, name=f"of_{name}") for name, shape in zip(LAYERS, shapes, strict=True)}
    model = keras.Model(list(inputs.values()), {name: LAYERS[name](x) for name, x in inputs.items()})
    model = tfopt.quantize_aware(model)
    calibrate(model, ALL, batch_size=64)
    return model


@pytest.fixture(scope="module")
def as_it_is(quantized):
    """What the converter writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "lower_for_xnnpack", lambda file, **_: False)
        return tfopt.to_tflite(quantized)


@pytest.fixture(scope="module")
def file(as_it_is):
    return TFLiteModel(_lowered(bytes(as_it_is)))


def _lowered(content, **options):
    file = ParsedFile(content)
    run_passes(file, [Pass.of(lower.lower_for_xnnpack, **options)])
    return file.serialize()


def _operators(file):
    """Return layer -> the names of the operators that make what is called after it."""
    model = parse(bytes(file))
    found = {}
    for operator in model.subgraphs[0].operators:
        tensor = model.subgraphs[0].tensors[operator.outputs[0]]
        layer = _layer(tensor)
        found.setdefault(layer, set()).add(operator_name(model, operator))
    return found


def _layer(tensor):
    """Return the layer that makes a tensor, which in a model of several outputs is called after them."""
    return text(tensor.name).split(":")[0].removesuffix(".core")


def _steps(file, quantized):
    """Return layer -> by how many steps the file is off the model, for each value."""
    expected, got = quantized.predict(ALL, verbose=0), file.predict(ALL)
    return {spec.name: np.abs(got[spec.name] - expected[spec.name]) / spec.step for spec in file.outputs}


def test_each_layer_has_the_operators_that_are_fastest_in_integers(file):
    found = _operators(file)
    for name, expected in BECOME.items():
        rest = found[name] - expected
        assert found[name] >= expected
        assert rest <= PRODUCT if expected >= PRELU else not rest
    assert not file.summary().float_operators


def test_they_compute_what_the_quantized_model_does(file, quantized):
    off = _steps(file, quantized)
    assert {name: round(steps.max()) for name, steps in off.items() if steps.max() > 1.01} == {}
    for name in ("half", "cut"):  # a mean by a convolution is exact, halves and cut windows too
        assert off[name].max() < 0.01
    assert max(steps.mean() for steps in off.values()) < 0.1


def test_float_may_be_faster_than_any_integers(as_it_is, quantized):
    file = TFLiteModel(_lowered(bytes(as_it_is), float_where_faster=True))
    floats = {each.layer.removesuffix(".core") for each in file.summary().float_operators}
    assert floats >= {"corner", "positive", "mixed", "single", "all", "flat", "softmax"}
    assert "whole" not in floats
    assert _operators(file)["softmax"] == {"DEQUANTIZE", "SOFTMAX", "QUANTIZE"}
    off = _steps(file, quantized)
    off.pop("cut")  # the model rounds as the file of integers does
    assert max(steps.max() for steps in off.values()) < 1.01


@pytest.mark.parametrize("name", LAYERS)
def test_every_lowering_computes_the_same(name, as_it_is):
    """Also those that are not chosen: XNNPACK takes them, and they are within a step of the operator."""
    expected = as_it_is.predict_quantized([x[:16] for x in ALL])[name].astype(int)
    tried = []
    for name_of_lowering in {each for lowerings in lower.LOWERINGS.values() for each in lowerings}:
        model = parse(bytes(as_it_is))
        graph = model.subgraphs[0]
        (operator,) = (each for each in graph.operators if _layer(graph.tensors[each.outputs[0]]) == name)
        make = lower.LOWERINGS[operator_name(model, operator)].get(name_of_lowering)
        replacement = Replacement(model, graph, operator)
        if make is None or not make(replacement):
            continue
        replacement.apply()
        got = TFLiteModel(serialize(model)).predict_quantized([x[:16] for x in ALL])[name].astype(int)
        off = np.abs(got - expected)
        # In the corner of an image a cut window's mean may be two steps off: it is rounded twice.
        assert off.max() <= (2 if name_of_lowering == "DEPTHWISE_CONV_2D + MUL" else 1), name_of_lowering
        assert np.mean(off > 1) < 1e-3, name_of_lowering
        tried.append(name_of_lowering)
    assert IN_FLOAT in tried


def test_every_lowering_has_its_costs():
    expected = {
        (name, each) for name, lowerings in lower.LOWERINGS.items() for each in (AS_IT_IS, *lowerings)
    }
    assert expected == set(COSTS)
    assert all(cost.microseconds(Work(elements=1000, rows=10)) > 0 for cost in COSTS.values())


def test_the_table_of_costs_decides(as_it_is, monkeypatch):
    slow = {key: OperatorCost(1e6, 0.0, 0.0) for key in COSTS if key[1] != AS_IT_IS}
    monkeypatch.setattr(lower, "COSTS", COSTS | slow)
    assert _lowered(bytes(as_it_is), float_where_faster=True) == bytes(as_it_is)


def test_work_has_rows_and_elements():
    assert OperatorCost(1.0, 1000.0, 1.0, 2.0).microseconds(Work(elements=2000, rows=3, inputs=500)) == 7.0


def test_slopes_whose_scales_lie_too_far_apart_stay(as_it_is):
    """XNNPACK ends the process, or refuses the file, where scales are further apart than it computes with."""
    model = parse(bytes(as_it_is))
    for tensor in model.subgraphs[0].tensors:
        if _layer(tensor) == "mixed" and len(tensor.shape) == 4:
            tensor.quantization.scale = np.float32([1e-6])
    file = TFLiteModel(_lowered(serialize(model)))
    assert _operators(file)["mixed"] == {"PRELU"}


def test_float_files_are_as_they_were(quantized):
    file = tfopt.to_tflite(quantized, "float32", float_where_faster=True)
    assert {"AVERAGE_POOL_2D", "PRELU", "SOFTMAX"} == {each.name for each in file.summary().operators}


def test_what_is_no_flag_is_refused(quantized):
    with pytest.raises(InvalidArgumentError, match="float_where_faster to be True or False"):
        tfopt.to_tflite(quantized, float_where_faster="yes")


ACTIVATIONS = {
    "relu": (L.ReLU(name="relu"), {"MAXIMUM", "QUANTIZE"}),
    "relu6": (L.ReLU(6.0, name="relu6"), {"MAXIMUM", "QUANTIZE"}),
    "hard": (L.Activation("hard_silu", name="hard"), {"ADD", "MUL"}),
}
"""Layer of its own in a file of post-training quantization -> its operators in integers."""


@pytest.fixture(scope="module")
def post_training():
    """Such a file as the converter writes it."""
    inputs = {name: keras.Input(X.shape[1:], name=f"of_{name}") for name in ACTIVATIONS}
    model = keras.Model(list(inputs.values()), {name: ACTIVATIONS[name][0](x) for name, x in inputs.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "lower_for_xnnpack", lambda file, **_: False)
        return tfopt.to_tflite(model, "int8", (X,) * 3, engine="converter")


def test_activations_of_post_training_quantization(post_training):
    assert _operators(post_training) == {"relu": {"RELU"}, "relu6": {"RELU6"}, "hard": {"HARD_SWISH"}}
    expected = post_training.predict_quantized((X,) * 3)
    for float_where_faster in (False, True):
        content = _lowered(bytes(post_training), float_where_faster=float_where_faster)
        file = TFLiteModel(content)
        if not float_where_faster:
            assert _operators(file) == {name: after for name, (_, after) in ACTIVATIONS.items()}
        got = file.predict_quantized((X,) * 3)
        for name, values in expected.items():
            assert np.abs(got[name].astype(int) - values).max() <= 1, name


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["converter", "litert-quantizer"])
def test_files_of_post_training_quantization_too(engine):
    inputs = keras.Input(X.shape[1:])
    x = L.PReLU(_slopes(0, 0.5), shared_axes=[1, 2])(L.Conv2D(8, 3)(inputs))
    x = L.AveragePooling1D(2)(L.Reshape((49, 8))(L.AveragePooling2D(2)(x)))
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))
    file = tfopt.to_tflite(model, "int8", X, engine=engine)
    assert "AVERAGE_POOL_2D" not in {each.name for each in file.summary().operators}
    assert file.verify(model, X, classification=False).snr_db > 25
