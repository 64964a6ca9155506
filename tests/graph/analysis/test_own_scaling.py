"""Whether a model scales its inputs by itself."""

import keras
import numpy as np
import pytest

from tfopt import data
from tfopt.graph import as_taken, scaled_twice
from tfopt.graph.analysis.own_scaling import first_seen

BYTES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
CLASSES = np.arange(40) % 2


def _model(*first):
    layers = [keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Flatten(), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((8, 8, 3)), *first, *layers])


SCALES_ITSELF = [
    [keras.layers.Rescaling(1 / 255)],
    [keras.layers.Rescaling(1 / 127.5, offset=-1)],
    [keras.layers.Normalization(mean=[128.0] * 3, variance=[5000.0] * 3)],
]


@pytest.mark.parametrize("first", SCALES_ITSELF, ids=["1/255", "-1..1", "normalization"])
def test_images_come_as_bytes_where_the_model_scales_them(first):
    scaled = data.from_arrays(BYTES, CLASSES)
    taken = as_taken(_model(*first), scaled)
    assert float(scaled.x_train.max()) == 1.0
    assert float(taken.x_train.max()) == 255.0


def test_images_stay_scaled_where_it_does_not():
    scaled = data.from_arrays(BYTES, CLASSES)
    assert as_taken(_model(), scaled) is scaled


def test_what_was_asked_for_is_not_undone_but_found():
    asked = data.from_arrays(BYTES, CLASSES, scale="1/255")
    model = _model(keras.layers.Rescaling(1 / 255))
    assert as_taken(model, asked) is asked
    assert scaled_twice(model, asked) == [model.inputs[0].name]
    assert scaled_twice(_model(), asked) == []


def test_a_model_that_does_not_fit_the_data_is_not_asked():
    other = data.from_arrays(BYTES[:, :4], CLASSES)
    assert as_taken(_model(), other) is other
    assert scaled_twice(_model(), other) == []


def test_the_first_layers_with_weights_see_each_input():
    tokens, numbers = keras.Input((3,), dtype="int32"), keras.Input((2,))
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(tokens))
    joined = keras.layers.Concatenate()([embedded, numbers * 3.0])
    model = keras.Model([tokens, numbers], keras.layers.Dense(1)(joined))
    seen = first_seen(model, [np.zeros((4, 3), "int32"), np.ones((4, 2), "float32")])
    assert seen[0] is None  # indices are not scaled
