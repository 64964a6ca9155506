"""Sizes of inputs that a model leaves open, fixed for a copy."""

import re

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt import graph
from tfopt.errors import InvalidArgumentError, UnsupportedModel


def _images():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3), name="image")
    block = keras.Sequential(
        [keras.Input((None, None, 4)), L.Conv2D(4, 3, padding="same", name="in")], name="block"
    )
    x = block(L.Conv2D(4, 3, activation="relu", name="conv")(inputs))
    return keras.Model(inputs, L.Dense(2, name="head")(L.GlobalAveragePooling2D(name="pool")(x)), name="net")


def _pair():
    ids, mask = keras.Input((None,), dtype="int32", name="ids"), keras.Input((None, 1), name="mask")
    x = L.Embedding(9, 4, name="words")(ids) * mask
    return keras.Model(
        {"ids": ids, "mask": mask}, {"out": L.GlobalMaxPooling1D()(L.LSTM(4, return_sequences=True)(x))}
    )


def test_the_copy_computes_the_same_with_the_same_variables_and_names():
    model = _images()
    fixed = graph.with_input_shapes(model, (8, 10, 3))
    assert fixed.inputs[0].shape == (None, 8, 10, 3)
    assert [path for path, _ in graph.layers(fixed)] == [path for path, _ in graph.layers(model)]
    assert all(a is b for a, b in zip(model.weights, fixed.weights, strict=True))
    x = np.random.default_rng(0).random((2, 8, 10, 3), dtype=np.float32)
    np.testing.assert_allclose(model(x), fixed(x), rtol=1e-6)
    assert model.inputs[0].shape == (None, None, None, 3)
    assert len(model.get_layer("conv")._inbound_nodes) == 1


def test_inputs_are_fixed_by_name_and_others_stay():
    fixed = graph.with_input_shapes(_pair(), {"ids": (5,)})
    assert {x.name: x.shape for x in fixed.inputs} == {"ids": (None, 5), "mask": (None, None, 1)}
    fixed = graph.with_input_shapes(fixed, {"mask": [5, 1]})
    assert set(fixed.output) == {"out"}
    assert fixed.inputs[1].shape == (None, 5, 1)


def test_a_model_that_needs_nothing_is_returned_itself():
    model = keras.Sequential([keras.Input((4,)), L.Dense(2)])
    assert graph.with_input_shapes(model, None) is model
    assert graph.with_input_shapes(model, (4,)) is model


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ((5,), "must be a dict by name for the inputs 'ids', 'mask'"),
        ({"word": (5,)}, "has 'word'; the inputs"),
        ({"ids": (5, 2)}, r"fit \(None,\), .* got \(5, 2\)"),
        ({"ids": (0,)}, "whole numbers"),
        ({"mask": (5, 2)}, r"fit \(None, 1\)"),
        ({"ids": 5}, "whole numbers"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        graph.with_input_shapes(_pair(), shapes)


def test_a_subclassed_model_has_the_shapes_of_its_first_call_and_the_advice_works():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = L.Conv2D(2, 3, padding="same")

        def call(self, x):
            return self.conv(x)

    model, x = Net(), np.ones((1, 6, 6, 1), "float32")
    model(np.ones((1, 4, 4, 1), "float32"))
    with pytest.raises(UnsupportedModel, match=r"new\.set_weights"):
        tfopt.to_tflite(model, input_shapes=(6, 6, 1))
    new = Net()
    new(x)
    new.set_weights(model.get_weights())
    np.testing.assert_allclose(tfopt.to_tflite(new).predict(x), model(x), rtol=1e-5)


def test_both_ways_that_the_error_names_lead_to_a_file():
    model = _images()
    with pytest.raises(InvalidArgumentError) as error:
        tfopt.to_tflite(model)
    advice = re.search(
        r"to_tflite\(model, input_shapes=(.*?)\), or .* keras\.Input\((.*)\)\.", str(error.value)
    )
    shapes, shape = map(eval, advice.groups())
    assert shapes == {"image": (64, 64, 3)}
    x = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    np.testing.assert_allclose(
        tfopt.to_tflite(model, input_shapes=shapes).predict(x), model(x), rtol=1e-4, atol=1e-5
    )
    inputs = keras.Input(shape)
    np.testing.assert_allclose(
        tfopt.to_tflite(keras.Model(inputs, model(inputs))).predict(x), model(x), rtol=1e-4, atol=1e-5
    )


def test_a_quantized_model_is_fixed_when_it_is_trained_or_when_it_is_written():
    model, x = _images(), np.random.default_rng(0).random((16, 8, 8, 3), dtype=np.float32)
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, x)
    file = tfopt.to_tflite(quantized, input_shapes=(8, 8, 3))
    assert file.summary().scheme == "int8"
    assert file.verify(quantized, x).passed
    fixed = tfopt.quantize_aware(_pair(), input_shapes={"ids": (5,), "mask": (5, 1)})
    assert fixed.inputs[0].shape == (None, 5)


def test_a_pipeline_takes_the_shapes_from_its_data(tmp_path):
    model = _images()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).random((60, 8, 8, 3), dtype=np.float32)
    data = tfopt.data.from_arrays(x, np.arange(60) % 2, name="images")
    pipeline = tfopt.Pipeline(
        [tfopt.Train(epochs=1), tfopt.QuantizeAware("int8", epochs=1), tfopt.ExportTFLite()]
    )
    run = pipeline.run(model, data, out=tmp_path, quiet=True)
    assert run.tflite.inputs[0].shape == (1, 8, 8, 3)
    assert run.model(1).inputs[0].shape == (None, None, None, 3)
