"""8-bit state: as small as said, close to float32, saved and replicated; test_references.py has the rules."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.optimizers import AdamW8bit, Cautious, Lion8bit, SGDM8bit

KINDS = {"adamw": AdamW8bit, "lion": Lion8bit, "sgdm": SGDM8bit}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def regression(**compile_arguments):
    """One kernel in 8 bits: what each variable is compiled by costs seconds."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(20, "tanh", use_bias=False)])
    model.compile(AdamW8bit(0.003, min_8bit_size=1), "mse", **compile_arguments)
    return model


def fit(model, epochs=4, first=0):
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 30)).astype("float32")
    y = np.tanh(x @ random.normal(size=(30, 20))).astype("float32")
    model.fit(x, y, batch_size=16, epochs=epochs, initial_epoch=first, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize(("kind", "bound"), [(AdamW8bit, 2.05), (Lion8bit, 1.02), (SGDM8bit, 1.02)])
def test_bytes_of_state(kind, bound):
    """For ten million weights in kernels, a convolution that fills no block, and their biases."""
    shapes = [(2048, 2048), (2048,), (2048, 2700), (2700,), (3, 3, 67, 511), (511,)]
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]
    weights = sum(math.prod(shape) for shape in shapes)
    assert weights > 10_000_000
    optimizer = kind()
    optimizer.build(variables)
    state = [v.value for v in optimizer.variables if v.shape]
    assert sum(math.prod(v.shape) * v.dtype.size for v in state) / weights <= bound


@pytest.mark.parametrize("size", [4095, 4096])
def test_small_variables_stay_float(kind, size):
    optimizer = kind()
    optimizer.build([keras.Variable(np.zeros(size, "float32"))])
    dtypes = {v.dtype for v in optimizer.variables if "codes" in v.path}
    assert dtypes == ({"uint8"} if size == 4096 else set())


@pytest.mark.parametrize(("spread", "bound"), [(0, 0.03), (2, 0.08), (4, 0.2)])
def test_stays_close_to_float_adam(spread, bound, replay):
    """As a share of the way, with gradients in a block that are up to 10^spread times smaller than others."""
    random = np.random.default_rng(0)
    size, steps = 600, 300
    scales = 10 ** -(spread * random.uniform(0, 1, size))
    # Gradients that shrink to a hundredth, with noise and a drift.
    shrink = 10.0 ** -(2 * np.arange(steps) / steps)[:, np.newaxis]
    gradients = (random.normal(size=(steps, size)) + random.normal(size=size)) * scales * shrink
    start = random.normal(size=size)
    paths = {}
    for name, min_size in (("8 bits", 1), ("float", 10_000)):
        optimizer = AdamW8bit(0.01, weight_decay=None, min_8bit_size=min_size)
        paths[name] = replay(optimizer, {"p": start}, {"p": gradients})["p"]
    moved = np.linalg.norm(paths["float"][-1] - start)
    deviations = np.linalg.norm(paths["8 bits"] - paths["float"], axis=1) / moved
    assert deviations.max() < bound
    # No single weight runs off, as it would where its square is rounded to 0.
    furthest = np.abs(paths["float"] - start).max()
    assert np.abs(paths["8 bits"] - start).max() < 1.2 * furthest


def test_tiny_gradients_among_large_ones_move_no_weight_too_far(replay):
    """A millionth of the block's largest is 0 on the map; a square of 0 would be divided by."""
    gradients = np.full((50, 512), 1e-8)
    gradients[:, 0] = 1.0
    path = replay(AdamW8bit(0.1, weight_decay=None, min_8bit_size=1), {"p": np.zeros(512)}, {"p": gradients})
    assert np.abs(np.diff(path["p"], axis=0)).max() < 0.11


@pytest.mark.slow
def test_trains_the_digits_as_float_does(digits, small_cnn):
    """With every variable in 8 bits."""
    accuracy = {}
    for min_size in (1, 10**9):
        model = small_cnn(8)
        model.compile(
            AdamW8bit(0.01, min_8bit_size=min_size), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        model.fit(digits.x_train, digits.y_train, batch_size=64, epochs=3, verbose=0)
        accuracy[min_size] = model.evaluate(digits.x_train, digits.y_train, verbose=0)[1]
    assert accuracy[1] > 0.7
    assert abs(accuracy[1] - accuracy[10**9]) < 0.1


def test_resumes_exactly(tmp_path):
    """Codes and scales are saved with the model."""
    whole = fit(regression())
    fit(regression(), epochs=2).save(tmp_path / "model.keras")
    resumed = fit(keras.models.load_model(tmp_path / "model.keras"), first=2)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [v.dtype for v in resumed.optimizer.variables if v.path.endswith("_codes")] == ["uint8"] * 2


def test_compiled_and_replicated_equal_plain(two_devices):
    """But for codes that rounding decides: one of them moves a weight by a hundredth of the rate or so."""
    with two_devices.scope():
        replicated = fit(regression())
    models = [replicated, fit(regression(jit_compile=True)), fit(regression(run_eagerly=True))]
    plain = fit(regression()).get_weights()[0]
    for model in models:
        np.testing.assert_allclose(model.get_weights()[0], plain, rtol=0, atol=0.001)
    codes = next(v for v in replicated.optimizer.variables if v.path.endswith("_codes"))
    first, second = (tf.convert_to_tensor(copy) for copy in codes.value.values)
    np.testing.assert_array_equal(first, second)


def test_new_rate_acts_at_once(replay):
    """The rate is no part of the momentum."""
    optimizer = SGDM8bit(keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.1]), momentum=0.5)
    path = replay(optimizer, {"p": np.zeros(1)}, {"p": np.ones((2, 1))})["p"][:, 0]
    np.testing.assert_allclose(path, [0.0, -1.0, -1.15], rtol=1e-6)


@pytest.mark.parametrize("size", [600, 601], ids=["blocks of one size", "the last one filled up"])
def test_a_mean_over_the_weights_leaves_out_what_fills_the_last_block(size, replay):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=size), random.normal(size=(1, size))
    paths = [
        replay(Cautious(AdamW8bit(0.1, min_8bit_size=least)), {"p": start}, {"p": gradients})["p"]
        for least in (1, 10_000)
    ]
    np.testing.assert_allclose(*paths, rtol=1e-5, atol=1e-6)
