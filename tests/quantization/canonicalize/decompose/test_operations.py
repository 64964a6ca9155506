"""Operations of `keras.ops` as others: equal outputs, and which operations they become."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

CODES = np.array([[0, 3], [2, 5], [1, -1]], "int32")


@pytest.mark.parametrize(
    ("function", "becomes"),
    [
        (lambda x: ops.flip(x, axis=1), {"Take"}),
        (lambda x: ops.flip(x, axis=(1, 2)), {"Take"}),
        (lambda x: ops.roll(x, 1, axis=1), {"Take"}),
        (lambda x: ops.roll(x, (1, -2), axis=(1, 2)), {"Take"}),
        (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 2)), mode="reflect"), {"Take"}),
        (lambda x: ops.pad(x, ((0, 0), (1, 1), (2, 0)), mode="symmetric"), {"Take"}),
        (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 2))), {"Pad"}),
        (lambda x: ops.glu(x), {"Split", "Sigmoid", "Multiply"}),
        (lambda x: ops.hard_tanh(x), None),
        (lambda x: ops.fmax(x, 0.5 * x), None),
        (lambda x: ops.fmin(x, 0.5 * x), None),
        (lambda x: ops.select([x > 1.0, x > 0.0], [x, 2.0 * x], 0.5), None),
        (lambda x: ops.concatenate(ops.moments(x, axes=[1]), -1), {"Mean", "Var", "Concatenate"}),
        (lambda x: ops.average(x, axis=1), {"Mean"}),
        (lambda x: ops.average(x, axis=-1, weights=np.arange(1.0, 7.0)), None),
    ],
)
def test_the_decomposition_computes_the_same(canonicalized, function, becomes):
    found = {*canonicalized(function, (4, 6))}
    assert not found & {"Flip", "Roll", "Glu", "HardTanh", "Fmax", "Fmin", "Select", "Moments", "Average"}
    assert becomes is None or found == becomes


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.one_hot(x, 4),
        lambda x: ops.one_hot(x, 4, axis=1),
        lambda x: ops.multi_hot(x, 4),
        lambda x: L.CategoryEncoding(4, output_mode="multi_hot")(x),
        lambda x: L.CategoryEncoding(4, output_mode="count")(x),
    ],
)
def test_categories_are_rows_of_a_table(canonicalized, function):
    samples = [np.array([[0, 3], [2, 1], [1, 1]], "int32")]
    found = canonicalized(function, samples=samples)
    assert found[:2] == ["RowOfIndex", "Embedding"]


def test_an_index_outside_of_a_one_hot_vector_is_a_row_of_zeros(canonicalized):
    canonicalized(lambda x: ops.one_hot(x, 4), samples=[CODES])


@pytest.mark.parametrize(
    ("layer", "shape", "pool"),
    [
        (lambda: L.AdaptiveAveragePooling1D(3), (6, 2), "AveragePooling1D"),
        (lambda: L.AdaptiveAveragePooling2D((2, 3)), (4, 6, 2), "AveragePooling2D"),
        (lambda: L.AdaptiveMaxPooling1D(3), (6, 2), "MaxPooling1D"),
        (lambda: L.AdaptiveMaxPooling2D((2, 3)), (4, 6, 2), "MaxPooling2D"),
    ],
)
def test_adaptive_pooling_has_windows(canonicalized, layer, shape, pool):
    assert canonicalized(lambda x: layer()(x), shape) == [pool]


def test_windows_that_overlap_are_left_whole(canonicalized):
    assert canonicalized(lambda x: L.AdaptiveMaxPooling1D(4)(x), (6, 2)) == ["AdaptiveMaxPooling1D"]


def test_grayscale_is_a_product_of_channels(canonicalized):
    assert canonicalized(ops.image.rgb_to_grayscale, (4, 4, 3)) == ["Dense"]
    assert keras.ops.image.rgb_to_grayscale(keras.Input((4, 4, 3))).shape == (None, 4, 4, 1)
