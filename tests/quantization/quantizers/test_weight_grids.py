"""The grids of weights against the formulas of the papers, in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.quantization.quantizers import weight_grids


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(400, 5)).astype("float32")


def _with_gradient(function, *values):
    """Return function(*values) and the gradients of its sum weighted by 1, 2, 3..."""
    tensors = [tf.constant(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        made = function(*tensors)
        weighted = tf.reduce_sum(made * tf.reshape(tf.range(1.0, tf.size(made, tf.float32) + 1), made.shape))
    return made.numpy(), [gradient.numpy() for gradient in tape.gradient(weighted, tensors)]


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1), (-4,), (-3, -1), ()])
def test_columns_are_the_channels_and_come_back(axes):
    kernel = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    rows, back = weight_grids.columns(tf.constant(kernel), axes)
    first = tuple(0 if axis in axes else slice(None) for axis in (-4, -3, -2, -1))
    np.testing.assert_array_equal(rows[:, 0], kernel[first].ravel())
    np.testing.assert_array_equal(back(rows), kernel)


def test_blocks_are_consecutive_weights_of_a_channel_and_come_back(rows):
    cut, back = weight_grids.blocks(tf.constant(rows), 40)
    assert cut.shape == (40, 50)
    np.testing.assert_array_equal(cut[:, 5 * 3 + 2], rows[120:160, 2])
    np.testing.assert_array_equal(back(cut), rows)


def test_steps_of_blocks_are_what_a_file_holds():
    """Of float16 scales XNNPACK reads the first eight binary digits; XLA must not take the rounding out."""
    given = np.float32([0, 1e-9, 3e-6, 1e-3, 1 / 7, 1.0, 1.001, 300.0])
    got, (slope,) = _with_gradient(weight_grids.scale_of_block, given)
    np.testing.assert_array_equal(got.astype(np.float16).astype(np.float32), got)
    np.testing.assert_array_equal(tf.cast(tf.cast(got, tf.bfloat16), tf.float32), got)
    assert (got >= given).all()
    np.testing.assert_array_less(got[3:], given[3:] * 1.008)
    np.testing.assert_array_equal(weight_grids.scale_of_block(tf.constant(got)), got)
    np.testing.assert_array_equal(slope, np.arange(1, 9))
    compiled = tf.function(weight_grids.scale_of_block, jit_compile=True)
    np.testing.assert_array_equal(compiled(tf.constant(given)), got)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_learned_steps_follow_the_paper(rows, bits):
    """Esser et al. 2020: v = round(clip(w / s, -Q, Q)) s, gradient of s by equation 3 and section 2.2."""
    last = 2 ** (bits - 1) - 1
    step = np.float32(2 * np.abs(rows).mean(axis=0) / np.sqrt(last))
    np.testing.assert_allclose(weight_grids.first_scale(rows, bits), step, rtol=1e-6)
    got, (of_rows, of_step) = _with_gradient(
        lambda w, s: weight_grids.on_grid(w, weight_grids.learned_scale(s, len(rows), bits), bits), rows, step
    )
    ratio = rows / step
    inside = np.abs(ratio) < last
    rounded = np.floor(np.clip(ratio, -last, last) + 0.5)
    np.testing.assert_allclose(got, rounded * step, rtol=1e-5, atol=1e-6)
    upstream = np.arange(1.0, rows.size + 1).reshape(rows.shape)
    np.testing.assert_allclose(of_rows, np.where(inside, upstream, 0), rtol=1e-5)
    slope = np.where(inside, rounded - ratio, np.sign(ratio) * last)
    np.testing.assert_allclose(of_step, (upstream * slope).sum(axis=0) / np.sqrt(len(rows) * last), rtol=2e-3)


def test_binary_weights_follow_the_paper(rows):
    """Rastegari et al. 2016: mean|w| sign(w); the gradient passes where |w| <= 1."""
    got, (gradient,) = _with_gradient(weight_grids.binary, rows)
    np.testing.assert_allclose(got, np.where(rows >= 0, 1, -1) * np.abs(rows).mean(axis=0), rtol=1e-5)
    upstream = np.arange(1.0, rows.size + 1).reshape(rows.shape)
    np.testing.assert_allclose(gradient, np.where(np.abs(rows) <= 1, upstream, 0))


def test_ternary_weights_follow_the_paper(rows):
    """Li et al. 2016: threshold 0.7 mean|w|, scale the mean magnitude above it."""
    got, (gradient,) = _with_gradient(weight_grids.ternary, rows)
    kept = np.abs(rows) > 0.7 * np.abs(rows).mean(axis=0)
    scale = np.array([np.abs(column[keep]).mean() for column, keep in zip(rows.T, kept.T, strict=True)])
    np.testing.assert_allclose(got, np.sign(rows) * kept * scale, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient, np.arange(1.0, rows.size + 1).reshape(rows.shape))


def test_stochastic_rounding_takes_a_neighbour_and_is_right_on_average():
    x = np.tile(np.float32([[-1.0, -0.3, 0.0, 0.25, 2.9]]), (20000, 1))
    uniform = np.random.default_rng(0).random(x.shape, np.float32)
    got = weight_grids.stochastic(tf.constant(uniform))(tf.constant(x)).numpy()
    assert (np.abs(got - x) < 1).all()
    assert (got == np.rint(got)).all()
    np.testing.assert_allclose(got.mean(axis=0), x[0], atol=0.02)
    assert (got[:, [0, 2]] == x[:, [0, 2]]).all(), "integers stay, zero among them"


@pytest.mark.parametrize(
    "grid",
    [
        weight_grids.binary,
        weight_grids.ternary,
        lambda x: weight_grids.on_grid(x, weight_grids.scale_of_largest(x, 4), 4),
        lambda x: weight_grids.on_grid(x, weight_grids.first_scale(x, 4), 4),
    ],
)
def test_a_channel_of_zeros_divides_by_nothing(grid):
    made, (gradient,) = _with_gradient(grid, np.zeros((6, 2), "float32"))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(made, 0, atol=1e-6)
