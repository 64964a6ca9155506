"""Normalizations of each sample in 16-bit integers, where a rule or the scheme asks for them."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.quantization import calibrate, left_in_float
from tfopt.quantization.canonicalize.canonicalize import canonical

RNG = np.random.default_rng(0)


@keras.saving.register_keras_serializable(package="test_norm_rewrites")
class Normalized(L.Layer):
    """A layer of a user, over `keras.ops`."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=shape[-1:], initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape[-1:], initializer="zeros", name="beta")

    def call(self, x):
        x = keras.ops.layer_normalization(x, self.gamma, self.beta, epsilon=1e-3)
        return keras.ops.rms_normalization(x, self.beta)


FORMS = {
    "layer": ((6, 16), lambda: L.LayerNormalization(name="norm")),
    "layer_of_vectors": ((16,), lambda: L.LayerNormalization(center=False, epsilon=1e-6, name="norm")),
    "layer_without_weights": ((6, 16), lambda: L.LayerNormalization(center=False, scale=False, name="norm")),
    "layer_of_pixels": ((4, 4, 8), lambda: L.LayerNormalization(epsilon=1e-12, name="norm")),
    "layer_of_images": ((4, 4, 8), lambda: L.LayerNormalization(axis=[-1, 1, 2], name="norm")),
    "layer_of_steps": ((6, 16), lambda: L.LayerNormalization(axis=1, name="norm")),
    "rms": ((6, 16), lambda: L.RMSNormalization(name="norm")),
    "group": ((4, 4, 8), lambda: L.GroupNormalization(2, name="norm")),
    "group_of_vectors": ((16,), lambda: L.GroupNormalization(4, scale=False, name="norm")),
    "group_in_front": ((8, 4, 4), lambda: L.GroupNormalization(4, axis=1, name="norm")),
    "instance": ((4, 4, 8), lambda: L.GroupNormalization(-1, name="norm")),
    "unit": ((6, 16), lambda: L.UnitNormalization(name="norm")),
    "operations": ((6, 16), lambda: Normalized(name="norm")),
}

UNEVEN = RNG.normal(size=(64, 6, 16)).astype("float32")
UNEVEN[:, 2] *= 30.0
"""Sequences of tokens, one of them thirty times larger than the others."""
OTHERS = [0, 1, 3, 4, 5]


def _alone(form):
    """Return a model of one normalization, with weights that change what they should."""
    shape, make = FORMS[form]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, make()(inputs))
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(0, 0.3, w.shape).astype("float32") for w in model.get_weights()])
    return model


def _samples(model):
    return np.random.default_rng(2).normal(0.5, 2.0, size=(32, *model.inputs[0].shape[1:])).astype("float32")


def _snr(expected, found):
    expected = np.asarray(expected)
    return 10 * np.log10(np.mean(expected**2) / np.mean((expected - found) ** 2))


@pytest.mark.parametrize("form", FORMS)
def test_the_parts_compute_the_same_in_float(form):
    model = _alone(form)
    rewritten, paths = canonical(model, lambda path: path.startswith("norm"))
    assert any(path.startswith("norm/") and path.endswith("/size_root") for path in paths.values())
    x = _samples(model) * RNG.choice([1e-2, 1.0, 100.0], size=(32, *[1] * (len(model.inputs[0].shape) - 1)))
    np.testing.assert_allclose(rewritten(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["layer", "group", "rms"])
def test_they_have_its_gradients(form):
    model = _alone(form)
    rewritten, _ = canonical(model, lambda _: True)
    x, y = _samples(model), _samples(model)
    for each in (model, rewritten):
        each.compile(keras.optimizers.SGD(0.1), "mse")
        each.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(rewritten.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_what_training_is_told_about_the_weights_stays():
    norm = L.LayerNormalization(name="norm", gamma_constraint="non_neg", beta_regularizer="l2")
    norm.trainable = False
    inputs = keras.Input((4,))
    model, _ = canonical(keras.Model(inputs, norm(inputs)), lambda _: True)
    affine = model.get_layer("norm")
    assert isinstance(affine.gamma.constraint, keras.constraints.NonNeg)
    assert isinstance(affine.beta.regularizer, keras.regularizers.L2)
    assert model.trainable_variables == []


def test_without_a_rule_they_stay_in_float():
    inputs = keras.Input((6, 16))
    model = keras.Model(inputs, L.Dense(3, name="head")(L.LayerNormalization(name="norm")(inputs)))
    names = [layer.name for layer in tfopt.quantize_aware(model).layers]
    assert "norm" in names
    assert not [name for name in names if name.startswith("norm.r")]
    assert left_in_float(model) == {"norm": "LiteRT has no int8 kernel for LayerNormalization"}
    assert left_in_float(model, rules={"norm": "int16x8"}) == {}
    assert left_in_float(model, scheme="int16x8") == {}
    assert left_in_float(model, {"norm": "int8"}, "int16x8").keys() == {"norm"}


@pytest.fixture(scope="module")
def by_rule():
    """A model of 8 bits with normalizations of 16, and its file."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 16))
    x = L.Dense(16, name="first")(inputs)
    x = x + L.Dense(16, activation="relu", name="second")(L.LayerNormalization(name="norm_1")(x))
    shared = L.GroupNormalization(4, name="norm_2")
    x = L.Concatenate(axis=1)([shared(x), shared(L.MaxPooling1D(2)(x))])  # of two sizes
    model = keras.Model(inputs, L.Dense(5, name="head")(L.Flatten()(x)))
    quantized = tfopt.quantize_aware(model, "int8", rules={"norm*": "int16x8"})
    x = RNG.normal(size=(64, 6, 16)).astype("float32")
    calibrate(quantized, x)
    return model, quantized, tfopt.to_tflite(quantized), x


def test_a_rule_makes_them_integers_between_layers_of_8_bits(by_rule):
    model, quantized, file, x = by_rule
    assert not file.summary().float_operators
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("int8", "int8")
    difference = file.verify(quantized, x)
    assert difference.max_lsb <= 2
    assert difference.mean_lsb <= 0.3
    in_float = tfopt.quantize_aware(model)  # what 8 bits lose elsewhere
    calibrate(in_float, x)
    assert _snr(model(x), quantized(x)) > _snr(model(x), in_float(x)) - 1


@pytest.fixture(scope="module")
def uneven():
    """A normalization in 16 bits alone, calibrated with tokens of uneven size, and its file."""
    model = _alone("layer")
    quantized = tfopt.quantize_aware(model, "int16x8")
    calibrate(quantized, UNEVEN)
    return model, quantized, tfopt.to_tflite(quantized)


def test_small_tokens_next_to_a_large_one_keep_their_precision(uneven):
    model, quantized, file = uneven
    assert not file.summary().float_operators
    expected = np.asarray(model(UNEVEN))
    for found in (np.asarray(quantized(UNEVEN)), file.predict(UNEVEN)):
        assert _snr(expected[:, OTHERS], found[:, OTHERS]) > 50  # their inputs have 54
        assert _snr(expected[:, 2], found[:, 2]) > 70
    assert file.verify(quantized, UNEVEN).outputs[0].snr_db > 65


def test_a_token_of_zeros_is_no_number_too_large(uneven):
    model, quantized, file = uneven
    x = UNEVEN.copy()
    x[:, 4] = 0.0
    with_zeros = tfopt.quantize_aware(model, "int16x8")
    calibrate(with_zeros, x)
    assert _snr(np.asarray(model(x))[:, OTHERS], np.asarray(with_zeros(x))[:, OTHERS]) > 50
    assert np.isfinite(quantized(x)).all()
    assert np.abs(file.predict(x)[:, 4] - np.asarray(model(x))[:, 4]).max() < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("scheme", "rules"), [("int16x8", None), ("int8", {"norm": "int16x8"})])
def test_every_form_becomes_integers(form, scheme, rules, tmp_path):
    keras.utils.set_random_seed(0)
    alone = _alone(form)
    inputs = keras.Input(alone.inputs[0].shape[1:])
    x = L.Dense(inputs.shape[-1], name="first")(inputs)
    model = keras.Model(inputs, L.Dense(3, name="head")(alone.get_layer("norm")(x)))
    samples = _samples(model)
    quantized = tfopt.quantize_aware(model, scheme, rules=rules)
    calibrate(quantized, samples)
    quantized.compile("adam", "mse")
    quantized.fit(samples, np.zeros((32, *model.outputs[0].shape[1:])), verbose=0)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(samples), quantized(samples))
    file = tfopt.to_tflite(loaded)
    assert not file.summary().float_operators
    output = file.verify(loaded, samples).outputs[0]
    assert output.snr_db > (55 if rules is None else 35)  # groups of four nearly equal values are the worst
    assert output.mean_lsb <= (4 if rules is None else 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((6, 16))
        x = L.RMSNormalization(name="norm_2")(L.LayerNormalization(name="norm_1")(inputs))
        model = keras.Model(inputs, L.Dense(3, dtype="float32")(x))
        quantized = tfopt.quantize_aware(model, "int8", rules={"norm*": "int16x8"})
    finally:
        keras.config.set_dtype_policy("float32")
    calibrate(quantized, UNEVEN)
    quantized.compile("adam", "mse")
    losses = quantized.fit(UNEVEN, np.ones((64, 6, 3)), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert tfopt.to_tflite(quantized).verify(quantized, UNEVEN).mean_lsb < 1
