"""Every scheme of a float model: what is in the file, and how far it is from the model."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export.schemes import FILE_SCHEMES

layers = keras.layers


@pytest.fixture(scope="module")
def model(digits):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([x, layers.Conv2D(16, 1, activation="relu6", name="pointwise")(x)])
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(name="pool")(x))
    x = layers.Dense(32, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(10, name="head")(x), name="model")


# scheme, engine, the least SNR in dB, the most bytes of weights by float32's, the types of weights.
FILES = [
    ("float32", "converter", 100, 1.0, {"float32"}),
    ("float16", "converter", 55, 0.5, {"float16"}),
    ("float16", "litert-quantizer", 55, 0.5, {"float16"}),
    ("dynamic", "converter", 38, 0.35, {"int8", "float32"}),
    ("dynamic", "litert-quantizer", 36, 0.25, {"int8"}),
    ("int8", "keras", 28, 0.25, {"int8"}),
    ("int8", "converter", 28, 0.25, {"int8"}),
    ("int8", "litert-quantizer", 28, 0.25, {"int8"}),
    ("int16x8", "keras", 38, 0.25, {"int8"}),
    ("int16x8", "converter", 40, 0.25, {"int8"}),
    ("int16x8", "litert-quantizer", 40, 0.25, {"int8"}),
    ("int8_weights", "litert-quantizer", 40, 0.25, {"int8"}),
    ("int4_weights", "litert-quantizer", 12, 0.15, {"int4", "int8"}),
    ("int4", "keras", 14, 0.15, {"int4"}),
    ("int4", "litert-quantizer", 14, 0.15, {"int4", "int8"}),
]


@pytest.fixture(scope="module")
def files(model, digits):
    return {
        (scheme, engine): tfopt.to_tflite(model, scheme, digits.x_train[:100], engine=engine)
        for scheme, engine, *_ in FILES
    }


def test_the_table_has_every_scheme():
    assert {scheme for scheme, *_ in FILES} == set(FILE_SCHEMES)


@pytest.mark.parametrize(("scheme", "engine", "snr", "share", "types"), FILES)
def test_a_file_is_close_to_the_model_and_small(scheme, engine, snr, share, types, files, model, digits):
    file = files[scheme, engine]
    verification = file.verify(model, digits.x_test[:100])
    assert verification.passed, verification
    assert verification.snr_db > snr
    summary = file.summary()
    assert summary.scheme == scheme
    assert {weight.dtype for weight in summary.weights} == types
    floats = sum(weight.size for weight in summary.weights) * 4
    assert sum(weight.bytes for weight in summary.weights) <= share * floats
    ends = {"int8": "int8", "int4": "int8", "int16x8": "int16"}.get(scheme, "float32")
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == (ends, ends)
    assert not (summary.integer and summary.float_operators)


def test_without_an_engine_the_scheme_chooses_it(model, files, digits):
    x = digits.x_train[:100]
    for scheme, engine in (("int8", "keras"), ("int4", "litert-quantizer")):
        assert bytes(tfopt.to_tflite(model, scheme, x)) == bytes(files[scheme, engine])


def test_weights_in_blocks_have_a_scale_a_block(files):
    weights = {weight.layer: weight for weight in files["int4_weights", "litert-quantizer"].summary().weights}
    assert weights["hidden"].scales == 32 * 256 / 32
    assert weights["conv"].scales == 16


def test_one_scale_a_kernel(model, digits):
    file = tfopt.to_tflite(model, "int8_weights", per_channel=False)
    assert {weight.scales for weight in file.summary().weights} == {1}


def test_ends_may_stay_float_with_every_engine(model, digits):
    file = tfopt.to_tflite(model, "int4", digits.x_train[:100], input_type="float32", output_type="float32")
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("float32", "float32")
    assert file.verify(model, digits.x_test[:50]).passed


def _types(file):
    return {weight.layer: weight.dtype for weight in file.summary().weights}


def test_rules_give_layers_another_scheme(model, digits):
    rules = {"hidden": "int4_weights", "head": None, "*wise": "float16"}
    file = tfopt.to_tflite(model, "int8", digits.x_train[:100], rules=rules)
    types = _types(file)
    assert types == {
        "conv": "int8", "depthwise": "float16", "pointwise": "float16", "hidden": "int4", "head": "float32",
    }  # fmt: skip
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("int8", "int8")
    assert file.verify(model, digits.x_test[:50]).passed


def test_a_float_file_with_one_layer_in_integers(model, digits):
    file = tfopt.to_tflite(model, rules={"hidden": "int8"}, representative_dataset=digits.x_train[:100])
    assert _types(file)["hidden"] == "int8"
    assert _types(file)["conv"] == "float32"
    assert file.inputs[0].dtype == "float32"


def test_rules_reach_into_nested_models_and_attention(digits):
    inner = keras.Sequential([keras.Input((8, 16)), layers.Dense(32, name="wide")], name="block")
    inputs = keras.Input((8, 16))
    x = layers.MultiHeadAttention(2, 16, name="attention")(inputs, inputs)
    model = keras.Model(inputs, layers.Dense(4, name="head")(inner(x)))
    file = tfopt.to_tflite(model, "int8_weights", rules={"block": None, "attention": "int4_weights"})
    types = _types(file)
    assert types == {"attention": "int4", "block/wide": "float32", "head": "int8"}


@pytest.mark.parametrize(
    "algorithm", ["octav", *(pytest.param(each, marks=pytest.mark.slow) for each in ("gptq", "oscar"))]
)
def test_algorithms_lose_less_than_rounding_to_nearest(algorithm, model, digits, files):
    plain = files["int4_weights", "litert-quantizer"].verify(model, digits.x_test[:100])
    file = tfopt.to_tflite(model, "int4_weights", digits.x_train[:100], algorithm=algorithm)
    assert file.verify(model, digits.x_test[:100]).snr_db > plain.snr_db


X = np.zeros((16, 8, 8, 1), np.float32)

MISUSE = {
    "engine": ({"engine": "torch"}, "one of 'keras'"),
    "rules with the converter": ({"rules": {"head": None}, "engine": "converter"}, "cannot do rules"),
    "int4 with the converter": ({"scheme": "int4", "engine": "converter"}, "cannot do scheme='int4'"),
    "unused rule": ({"rules": {"haed": None}}, "'haed'"),
    "scheme of a rule": ({"rules": {"head": "int3"}}, "scheme must be one of"),
    "algorithm": ({"scheme": "int8_weights", "algorithm": "magic"}, "algorithm to be one of"),
    "algorithm for floats": ({"scheme": "float32", "algorithm": "mse"}, "no weights to work on"),
    "static gptq": ({"algorithm": "gptq"}, "With integer activations"),
    "block": ({"scheme": "int4_weights", "block_size": 48}, "block_size to be one of"),
    "correction": ({"corrections": ["magic"]}, "corrections to be one of"),
    "corrections as a name": ({"corrections": "adaround"}, r"write \['adaround'\]"),
    "two ways of rounding": (
        {"scheme": "int8_weights", "corrections": ["adaround"], "algorithm": "mse"}, "leave out algorithm",
    ),
    "int16 ends": ({"input_type": "int16"}, "must be 'int8', 'uint8' or 'float32'"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_said_clearly(case, model):
    arguments, message = MISUSE[case]
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.to_tflite(model, **{"scheme": "int8", "representative_dataset": X, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithm": "gptq"}, "'gptq' must know"),
        ({"corrections": ["bias_correction"]}, "'bias_correction' must know"),
        ({"rules": {"head": "int8"}}, "integer activations must know"),
    ],
)
def test_data_is_asked_for_where_something_looks_at_it(arguments, message, model):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.to_tflite(model, "int8_weights", **arguments)


def test_few_samples_are_warned_about(model):
    for arguments in ({}, {"engine": "converter"}):
        with pytest.warns(UserWarning, match="Only 3 calibration samples") as caught:
            tfopt.to_tflite(model, "int8", X[:3], **arguments)
        assert {each.filename for each in caught if "calibration" in str(each.message)} == {__file__}


def test_what_the_converter_cannot_do_in_16_bits_names_the_other_engine():
    inputs = keras.Input((8, 8, 2))
    model = keras.Model(inputs, layers.Activation("hard_silu", name="swish")(layers.Conv2D(4, 3)(inputs)))
    x = np.random.default_rng(0).normal(size=(20, 8, 8, 2)).astype(np.float32)
    with pytest.raises(ConversionError, match="engine='litert-quantizer'") as caught:
        tfopt.to_tflite(model, "int16x8", x)
    assert "hard_swish" in str(caught.value).lower()
    file = tfopt.to_tflite(model, "int16x8", x, engine="litert-quantizer")
    assert file.verify(model, x, classification=False).snr_db > 40


def test_a_quantization_aware_model_takes_no_post_training_options(digits, small_cnn):
    model = tfopt.quantize_aware(small_cnn())
    tfopt.quantization.calibrate(model, digits.x_train[:16])
    with pytest.raises(InvalidArgumentError, match=r"was decided in training\. Leave out rules, algorithm"):
        tfopt.to_tflite(model, rules={"head": None}, algorithm="mse")
