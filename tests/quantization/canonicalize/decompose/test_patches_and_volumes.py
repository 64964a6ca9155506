"""Patches of images and poolings of volumes as operations on images."""

import pytest
from keras import layers as L
from keras import ops


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "arguments", [{}, {"strides": 1}, {"strides": 3}, {"strides": 1, "dilation_rate": 2}, {"strides": (1, 2)}]
)
def test_patches_are_slices_of_the_image(canonicalized, arguments, padding):
    found = canonicalized(
        lambda x: ops.image.extract_patches(x, (2, 3), padding=padding, **arguments), (7, 8, 2)
    )
    assert not {"ExtractPatches", "Conv", "Conv2D"} & {*found}


@pytest.mark.parametrize(
    ("layer", "pool"),
    [
        (L.MaxPooling3D((2, 1, 3), padding="same"), "MaxPooling2D"),
        (L.MaxPooling3D(2, strides=(1, 2, 1)), "MaxPooling2D"),
        (L.AveragePooling3D((2, 1, 3)), "AveragePooling2D"),
    ],
)
def test_a_pooling_of_volumes_is_one_of_slices_and_one_along_the_depth(canonicalized, layer, pool):
    assert canonicalized(layer, (4, 5, 6, 2)).count(pool) == 2


def test_padding_that_is_averaged_is_left_whole(canonicalized):
    layer = L.AveragePooling3D(2, padding="same")
    assert canonicalized(layer, (3, 3, 3, 2)) == ["AveragePooling3D"]


def test_up_sampling_of_volumes_is_repetitions(canonicalized):
    assert canonicalized(L.UpSampling3D((2, 1, 3)), (2, 3, 2, 2)) == ["Repeat", "Repeat"]
