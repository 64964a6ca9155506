"""A model is made ready for its engine, and what is decided about the file can be read."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export.options import Options
from tfopt.export.prepare import prepared, require_float, with_sizes

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), name="x")
    return keras.Model(inputs, L.Dense(3, name="head")(L.Dense(5, activation="relu", name="hidden")(inputs)))


def conversion_of(model, data=None, *, left_open=(), rounded=False, **options):
    given = {"input_type": "float32", "output_type": "float32", "batch_size": 5}
    return prepared(model, data, Options(**options), rounded=rounded, left_open=left_open, **given)


def test_int8_is_the_calibrated_graph(model):
    written, conversion = conversion_of(model, X, scheme="int8")
    assert tfopt.graph.is_quantized(written)
    assert (conversion.engine, conversion.scheme, conversion.trained) == ("keras", "int8", True)
    assert (conversion.rounded, conversion.samples, conversion.settings) == (True, None, {})
    assert conversion.named_after is model
    assert "quantize_aware" in conversion.advice


def test_litert_quantizer_has_settings_for_each_layer_and_samples_in_batches(model):
    written, conversion = conversion_of(model, X, scheme="int4", rules={"head": None})
    assert written is model
    assert (conversion.engine, conversion.by_litert_quantizer) == ("litert-quantizer", True)
    assert dict(conversion.settings) == {"hidden": "int4", "head": "float32"}
    assert [array.shape for array in conversion.samples] == [(4, 5, 4)]
    assert [array.shape for array in conversion.sample] == [(5, 4)]
    assert "to_tflite(..., rules=" in conversion.advice


def test_floats_need_no_data(model):
    _, conversion = conversion_of(model, scheme="float32")
    assert (conversion.engine, conversion.integer, conversion.samples) == ("converter", False, None)


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({"scheme": "int8"}, "The scheme 'int8'"),
        ({"scheme": "float32", "rules": {"head": "int8"}}, "A scheme with integer activations"),
        ({"scheme": "int8_weights", "corrections": ["bias_correction"]}, "What is called 'bias_correction'"),
    ],
)
def test_missing_data_is_asked_for(model, options, subject):
    with pytest.raises(InvalidArgumentError, match=f"{subject} must know what passes through the layers"):
        conversion_of(model, **options)


def test_the_converter_cannot_look_into_recurrent_layers():
    inputs = keras.Input((3, 4))
    model = keras.Model(inputs, L.Dense(2)(L.LSTM(3)(inputs)))
    data = np.zeros((10, 3, 4), np.float32)
    assert conversion_of(model, data, scheme="int16x8")[1].engine == "keras"
    assert conversion_of(model, data, scheme="int16x8", engine="converter")[1].engine == "converter"


def test_open_sizes_cannot_be_calibrated_by_every_engine(model):
    with pytest.raises(InvalidArgumentError, match="engine='converter' calibrates a graph of fixed sizes"):
        conversion_of(model, X, scheme="int8", engine="converter", left_open=("x",))


def test_a_quantization_aware_model_is_written_as_it_was_trained(model):
    quantized = tfopt.quantize_aware(model)
    require_float(quantized, rules=None, algorithm=False)
    require_float(model, rules={"head": None})
    with pytest.raises(InvalidArgumentError, match="Leave out rules, engine, or give the model in float"):
        require_float(quantized, rules={"head": None}, engine="keras", corrections=())
    _, conversion = conversion_of(quantized, scheme="int8", rounded=True)
    assert (conversion.trained, conversion.samples) == (True, None)


def test_the_sizes_of_the_data_are_those_of_the_file():
    inputs = keras.Input((None, 4), name="x")
    model = keras.Model(inputs, L.GlobalAveragePooling1D()(inputs))
    sized, _, left_open = with_sizes(model, np.zeros((10, 7, 4), np.float32), None)
    assert (sized.inputs[0].shape, [*left_open]) == ((None, 7, 4), [])
    sized, _, left_open = with_sizes(model, None, {"x": (None, 4)})
    assert (sized.inputs[0].shape, [*left_open]) == ((None, None, 4), ["x"])
