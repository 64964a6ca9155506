"""Architectures of `keras.applications`: quantize, train two steps, save, load, export, run."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.quantization import calibrate

FLOAT_LAYERS = {"ConvNeXtTiny": "layernorm"}
"""Architecture -> what the names of the layers that stay in float hold."""

SIZES = {
    "MobileNetV3Small": 64,
    "MobileNetV2": 64,
    **dict.fromkeys(("VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV3Large"), 64),
    **dict.fromkeys(("DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "NASNetMobile"), 64),
    **{"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75, "ConvNeXtTiny": 64},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_an_architecture_becomes_a_file_of_integers(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(SIZES[name], SIZES[name], 3), classes=10, classifier_activation=None
    )
    x = np.random.default_rng(0).uniform(-1, 1, (8, *model.input_shape[1:])).astype("float32")
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    # Gradients of 200 untrained layers explode.
    quantized.compile(keras.optimizers.SGD(0.01, clipnorm=1.0), "mse")
    quantized.fit(x, np.zeros((8, 10)), batch_size=4, verbose=0)
    calibrate(quantized, x)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), quantized.predict(x, verbose=0))
    file = tfopt.to_tflite(loaded)
    floats = file.summary().float_operators
    assert all(FLOAT_LAYERS.get(name, " ") in operator.layer for operator in floats)
    assert np.isfinite(file.predict(x)).all()
