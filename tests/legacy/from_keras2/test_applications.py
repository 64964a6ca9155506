"""The models of keras.applications, both ways."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
import tf_keras

import tfopt

_spec = importlib.util.spec_from_file_location("legacy_zoo", Path(__file__).parent / "zoo.py")
zoo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(zoo)

SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
"""Sides of the images, where 32 is too small."""

APPLICATIONS = [
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "NASNetMobile", "ResNet50",
    "ResNet50V2", "VGG16", "Xception",
]  # fmt: skip
"""The smallest of each family."""

LEGACY_ONLY = ["RegNetX002", "RegNetY002", "ResNetRS50"]


def _build(library, name):
    size = SIZES.get(name, 32)
    return getattr(library.applications, name)(weights=None, classes=10, input_shape=(size, size, 3))


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS + LEGACY_ONLY)
def test_from_keras_2(name):
    tf_keras.utils.set_random_seed(0)
    old = zoo.with_random_weights(_build(tf_keras, name), kernels=False)
    zoo.assert_same_outputs(old, tfopt.from_legacy(old))


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_to_keras_2(name):
    keras.utils.set_random_seed(0)
    new = _build(keras, name)
    x = np.random.default_rng(0).uniform(0, 255, (2, *new.input.shape[1:])).astype("float32")
    np.testing.assert_allclose(tfopt.to_legacy(new)(x), new(x), atol=1e-5)
