"""Kernels under a mask in the code of users' layers, and code that assigns to a variable in `call`."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.errors import UnsupportedOperation
from tfopt.quantization import calibrate

X = np.random.default_rng(0).normal(size=(64, 8, 8, 2)).astype("float32")
MASK = np.ones((3, 3, 1, 1), "float32")
MASK[2] = MASK[1, 2] = 0


class Masked(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4), name="kernel", regularizer="l2")
        self.mask = MASK

    def convolved(self, x):
        return ops.relu(ops.conv(x, self.kernel, padding="same"))

    def call(self, x):
        return ops.relu(ops.conv(x, self.kernel * self.mask, padding="same"))


class MaskedByVariable(Masked):
    def build(self, shape):
        super().build(shape)
        self.mask = self.add_weight(shape=MASK.shape, initializer="zeros", trainable=False, name="mask")
        self.mask.assign(MASK)


class Assigned(Masked):
    def call(self, x):
        self.kernel.assign(self.kernel * self.mask)
        return self.convolved(x)


class PixelConvolution(L.Layer):
    """Of keras.io's PixelCNN."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = L.Conv2D(4, 3, padding="same", activation="relu")

    def build(self, shape):
        self.conv.build(shape)
        self.mask = np.broadcast_to(MASK, self.conv.kernel.shape)

    def call(self, x):
        self.conv.kernel.assign(self.conv.kernel * self.mask)
        return self.conv(x)


class MaskedDense(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        self.mask = np.tril(np.ones(self.kernel.shape, "float32"))

    def call(self, x):
        return ops.matmul(x, self.kernel * self.mask)


class Normalized(Masked):
    """Leaves its kernel as it is from the second call on, which no mask does."""

    def call(self, x):
        self.kernel.assign(self.kernel / ops.sqrt(ops.sum(ops.square(self.kernel))))
        return self.convolved(x)


class Counting(Masked):
    def call(self, x):
        self.kernel.assign_add(ops.ones_like(self.kernel))
        return self.convolved(x)


class Following(Masked):
    def call(self, x):
        self.kernel.assign(self.kernel * ops.mean(x))
        return self.convolved(x)


class Both(Masked):
    def call(self, x):
        return super().call(x) + self.convolved(x)


LAYERS = [Masked, MaskedByVariable, Assigned, PixelConvolution, MaskedDense]


def _model(layer):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(X.shape[1:])
    return keras.Model(inputs, L.Conv2D(2, 1)(layer(name="own")(inputs)))


@pytest.mark.parametrize("layer", LAYERS)
def test_they_are_integers_and_training_keeps_their_zeros(layer, tmp_path):
    model = _model(layer)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, X)
    expected = model(X).numpy()
    assert np.abs(quantized(X) - expected).max() < 0.05 * np.abs(expected).max()
    assert len(quantized.trainable_weights) == len(model.trainable_weights)
    assert len(quantized.losses) == len(model.losses)
    quantized.compile(keras.optimizers.Adam(0.01), "mse")
    quantized.fit(X, np.ones(expected.shape), verbose=0)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.compile(keras.optimizers.Adam(0.01), "mse")
    loaded.fit(X, np.ones(expected.shape), verbose=0)
    kernel = next(each.numpy() for each in loaded.trainable_weights if each.shape[-1] == 4 and each.ndim > 1)
    mask = np.tril(np.ones((2, 4))) if layer is MaskedDense else MASK
    assert not np.any(kernel[np.broadcast_to(mask, kernel.shape) == 0])
    file = tfopt.to_tflite(loaded)
    assert file.verify(loaded, X, classification=False).max_lsb <= 1
    assert not file.summary().float_operators


@pytest.mark.parametrize("layer", [Assigned, PixelConvolution, Normalized])
def test_what_is_assigned_is_what_a_file_computes_with(layer):
    model = _model(layer)
    assert tfopt.to_tflite(model).verify(model, X, classification=False).passed
    assert tfopt.to_tflite(model, "int8", X).verify(model, X, classification=False).passed


@pytest.mark.parametrize("layer", [Counting, Following])
def test_what_each_call_changes_is_refused_and_the_advice_works(layer):
    with pytest.raises(
        UnsupportedOperation,
        match=r"assigns to 'own_kernel'|assigns to 'kernel'.*kernel = self.kernel \* self.mask",
    ) as refused:
        tfopt.quantize_aware(_model(layer))
    assert "rules=" not in str(refused.value)
    with pytest.raises(UnsupportedOperation, match="changes a variable"):
        tfopt.to_tflite(_model(layer))
    assert tfopt.quantize_aware(_model(Masked))


def test_a_kernel_that_is_read_without_its_mask_too_is_no_masked_one():
    model = _model(Both)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, X)
    expected = model(X).numpy()
    assert np.abs(quantized(X) - expected).max() < 0.05 * np.abs(expected).max()


class Unmasked(L.Layer):
    def __init__(self, other, **kwargs):
        super().__init__(**kwargs)
        self.other = other

    def call(self, x):
        return self.other.convolved(x)


def test_a_kernel_that_another_layer_reads_without_its_mask_is_refused():
    inputs = keras.Input(X.shape[1:])
    masked = Masked(name="own")
    model = keras.Model(inputs, Unmasked(masked)(masked(L.Conv2D(4, 1)(inputs))))
    with pytest.raises(UnsupportedOperation, match=r"kernel.*under a mask in one.*variable of its own"):
        tfopt.quantize_aware(model)
