"""A trained model and its files, made once."""

import keras
import pytest

import tfopt


@pytest.fixture(scope="session")
def trained(digits):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    outputs = keras.layers.Dense(10, activation="softmax", name="head")(x)
    model = keras.Model(inputs, outputs, name="trained")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(digits.x_train, digits.y_train, batch_size=32, epochs=4, verbose=0)
    return model


@pytest.fixture(scope="session")
def quantized(trained, digits):
    model = tfopt.quantize_aware(trained)
    tfopt.quantization.calibrate(model, digits.x_train[:256])
    return model


@pytest.fixture(scope="session")
def files(trained, quantized, digits):
    """One file of each kind; `trained` is the model of all but `qat`."""
    return {
        "float32": tfopt.to_tflite(trained),
        "float16": tfopt.to_tflite(trained, "float16"),
        "dynamic": tfopt.to_tflite(trained, "dynamic"),
        "int8": tfopt.to_tflite(trained, "int8", digits.representative_dataset()),
        "qat": tfopt.to_tflite(quantized),
    }
