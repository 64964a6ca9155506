import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import ConversionError, DataError, InvalidArgumentError, TfoptError, UnsupportedModel

KINDS = ("float32", "float16", "dynamic", "int8", "qat")


def _accuracy(model_or_file, data):
    x, y = data.split("test")
    options = {"verbose": 0} if isinstance(model_or_file, keras.Model) else {}
    return np.mean(np.argmax(model_or_file.predict(x, **options), axis=-1) == y)


@pytest.mark.parametrize("kind", KINDS)
def test_every_scheme_does_what_the_model_does(kind, files, trained, quantized, digits):
    model = quantized if kind == "qat" else trained
    verification = files[kind].verify(model, digits.x_test)
    assert verification.passed, verification
    assert verification.top1_agreement >= 0.97
    assert _accuracy(files[kind], digits) == pytest.approx(_accuracy(model, digits), abs=0.02)


@pytest.mark.parametrize("kind", ["int8", "qat"])
def test_an_int8_file_is_int8_throughout(kind, files):
    summary = files[kind].summary()
    assert summary.scheme == "int8"
    assert not summary.float_operators
    assert {each for operator in summary.operators for each in operator.types} == {"int8"}
    assert {spec.dtype for spec in (*summary.inputs, *summary.outputs)} == {"int8"}
    assert all(weight.dtype == "int8" for weight in summary.weights)
    convolution = next(weight for weight in summary.weights if weight.layer == "conv")
    assert convolution.per_channel


@pytest.mark.parametrize("kind", KINDS)
def test_batch_normalization_and_activation_are_folded(kind, files):
    operators = {
        each.name: each.count for each in files[kind].summary().operators if each.name != "DEQUANTIZE"
    }
    assert operators == {"CONV_2D": 1, "MAX_POOL_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}


def test_smaller_schemes_are_smaller(trained, digits):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256), keras.layers.Dense(10)])
    x = digits.x_train.reshape(-1, 64)
    sizes = [len(tfopt.to_tflite(model, each, x)) for each in ("float32", "float16", "int8")]
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.4 * sizes[0]


def test_input_and_output_may_stay_float(quantized, digits):
    file = tfopt.to_tflite(quantized, input_type="float32", output_type="float32", batch_size=4)
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("float32", "float32")
    assert file.inputs[0].shape == (4, 8, 8, 1)
    verification = file.verify(quantized, digits.x_test[:30])
    assert verification.passed
    assert verification.max_lsb is not None  # the grid of what was dequantized
    assert not file.summary().float_operators


def test_a_quantization_aware_model_in_float_has_no_rounding_left(quantized, trained, digits):
    file = tfopt.to_tflite(quantized, "float32")
    assert "QUANTIZE" not in {each.name for each in file.summary().operators}
    expected = trained.predict(digits.x_test, verbose=0)
    np.testing.assert_allclose(file.predict(digits.x_test), expected, atol=1e-5)


def test_zeros_of_the_model_are_zeros_of_the_file(trained, digits):
    model = tfopt.graph.copy(trained)
    kernel = model.get_layer("head").kernel
    kernel.assign(np.where(np.abs(kernel) < np.quantile(np.abs(kernel), 0.75), 0.0, kernel))
    for file in (tfopt.to_tflite(model), tfopt.to_tflite(model, "int8", digits)):
        weight = next(each for each in file.summary().weights if each.layer == "head")
        assert weight.sparsity >= 0.75


def _several(structure):
    picture, number, index = (
        keras.Input((4, 4, 1), name="zebra"),
        keras.Input((3,), name="apple"),
        keras.Input((2,), dtype="int32", name="mango"),
    )
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(picture))
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(index))
    x = keras.layers.Concatenate()([x, number, embedded])
    y = keras.layers.Dense(3, name="yew")(x)
    a = keras.layers.Dense(2, name="ash")(x)
    if structure == "dict":
        return keras.Model({"zebra": picture, "apple": number, "mango": index}, {"second": y, "first": a})
    return keras.Model([picture, number, index], [y, a, y])


@pytest.mark.parametrize("scheme", ["float32", "int8"])
@pytest.mark.parametrize(
    ("structure", "inputs", "outputs"),
    [
        ("list", ["zebra", "apple", "mango"], ["yew", "ash", "yew_1"]),
        ("dict", ["apple", "mango", "zebra"], ["first", "second"]),
    ],
)
def test_several_inputs_and_outputs_keep_names_and_order(scheme, structure, inputs, outputs):
    model = _several(structure)
    rng = np.random.default_rng(0)
    x = {
        "zebra": rng.random((9, 4, 4, 1), np.float32),
        "apple": rng.random((9, 3), np.float32),
        "mango": rng.integers(0, 5, (9, 2)).astype(np.int32),
    }
    file = tfopt.to_tflite(model, scheme, x)
    assert [spec.name for spec in file.inputs] == inputs
    assert [spec.name for spec in file.outputs] == outputs
    predicted = file.predict(x)
    assert list(predicted) == outputs
    np.testing.assert_array_equal(
        file.predict(tuple(x[name] for name in inputs))[outputs[0]], predicted[outputs[0]]
    )
    assert file.verify(model, x, classification=False).passed


def test_nested_models_and_half_precision(digits):
    block = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(16, name="dense"), keras.layers.ELU(name="elu")], name="block"
    )
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((8, 8, 1))
        outputs = keras.layers.Dense(10, name="head")(block(keras.layers.Flatten()(inputs)))
        model = keras.Model(inputs, outputs)
    finally:
        keras.config.set_dtype_policy("float32")
    file = tfopt.to_tflite(model)
    np.testing.assert_allclose(
        file.predict(digits.x_test[:8]), model.predict(digits.x_test[:8], verbose=0), atol=2e-2
    )
    file = tfopt.to_tflite(model, "int8", digits.x_train)
    floats = file.summary().float_operators
    assert [(each.operator, each.layer) for each in floats] == [("ELU", "block/elu")]


class _Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def _sequential(*shape):
    return keras.Sequential([keras.Input(shape), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])


X = np.zeros((4, 8, 8, 1), np.float32)

MISUSE = {
    "no data": (lambda m: tfopt.to_tflite(m, "int8"), InvalidArgumentError, "give representative_dataset"),
    "unknown scheme": (lambda m: tfopt.to_tflite(m, "int5"), InvalidArgumentError, "must be one of float32"),
    "NaN": (lambda m: tfopt.to_tflite(m, "int8", X * np.nan), DataError, "'image' holds NaN"),
    "empty array": (lambda m: tfopt.to_tflite(m, "int8", X[:0]), DataError, "is empty"),
    "empty function": (lambda m: tfopt.to_tflite(m, "int8", lambda: iter(())), DataError, "no sample"),
    "other shape": (lambda m: tfopt.to_tflite(m, "int8", X[:, 1:]), InvalidArgumentError, r"\(7, 8, 1\)"),
    "no batch": (lambda m: tfopt.to_tflite(m, "int8", lambda: iter(X)), InvalidArgumentError, "takes"),
    "other kind": (lambda m: tfopt.to_tflite(m, "int8", "x.npz"), InvalidArgumentError, "got str"),
    "two arrays": (lambda m: tfopt.to_tflite(m, "int8", [X, X]), InvalidArgumentError, "each of 'image'"),
    "int8 ends": (lambda m: tfopt.to_tflite(m, input_type="int8"), InvalidArgumentError, "must be 'float32'"),
    "batch": (lambda m: tfopt.to_tflite(m, batch_size=0), InvalidArgumentError, "batch_size must be"),
    "dynamic": (lambda _: tfopt.to_tflite(_sequential(None, 8, 1)), InvalidArgumentError, "fixed shapes"),
    "subclassed": (lambda _: tfopt.to_tflite(_Subclassed()), UnsupportedModel, "call it once"),
    "no model": (lambda _: tfopt.to_tflite("model.keras"), InvalidArgumentError, "Expected a Keras 3 model"),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_said_clearly(case, trained):
    act, kind, message = MISUSE[case]
    with pytest.raises(kind, match=message) as caught:
        act(trained)
    assert isinstance(caught.value, TfoptError)
    assert "\n" not in str(caught.value)


class _Unknown(keras.layers.Layer):
    def call(self, inputs):
        import tensorflow as tf

        return tf.raw_ops.Betainc(a=tf.exp(inputs), b=tf.exp(inputs), x=tf.sigmoid(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape


def test_an_operation_that_tflite_lacks_is_named_with_its_layer():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), _Unknown(name="odd")])
    with pytest.raises(ConversionError, match=r"'tf.Betainc' op.*Replace these layers: odd") as caught:
        tfopt.to_tflite(model)
    assert "\n" not in str(caught.value)


def test_the_model_stays_as_it_was(trained, digits):
    before = [np.array(weight) for weight in trained.get_weights()]
    tfopt.to_tflite(trained, "int8", digits)
    assert all(np.array_equal(*pair) for pair in zip(before, trained.get_weights(), strict=True))


def test_the_same_model_gives_the_same_bytes(trained, files):
    assert bytes(tfopt.to_tflite(trained)) == bytes(files["float32"])


def test_a_model_made_under_a_strategy(two_devices, small_cnn, digits):
    with two_devices.scope():
        model = small_cnn()
    assert tfopt.to_tflite(model).verify(model, digits.x_test[:20]).passed
