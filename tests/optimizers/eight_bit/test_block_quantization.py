"""Codes are the nearest of the dynamic map's numbers, block by block."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfopt.optimizers.eight_bit.block_quantization import SIGNED, UNSIGNED, Blocks, dequantize, quantize

MAPS = {"signed": SIGNED, "unsigned": UNSIGNED}


@pytest.fixture(params=MAPS)
def dynamic_map(request):
    return MAPS[request.param]


def bits_to_number(bits, signed):
    """What eight bits stand for by the paper: sign, zeros before the indicator, linear fraction."""
    sign = -1 if signed and bits[0] else 1
    rest = bits[1:] if signed else bits
    zeros = rest.index(1)
    fraction = rest[zeros + 1 :]
    part = int("".join(map(str, fraction)) or "0", 2)
    return sign * 10.0**-zeros * (0.1 + 0.9 * (part + 0.5) / 2 ** len(fraction))


def test_map_follows_the_papers_bits(dynamic_map):
    """Every pattern of bits with an indicator stands for a number; 0 and 1 take what is left."""
    signed = dynamic_map.signed
    width, sign = (7, (0, 1)) if signed else (8, (0,))
    patterns = [[*map(int, f"{code:0{width}b}")] for code in range(1, 2**width)]
    numbers = {0.0, 1.0}
    for pattern in patterns:
        # In the unsigned map, an indicator in the last place would be an eighth power of ten.
        if signed or pattern.index(1) < 7:
            numbers |= {bits_to_number([s, *pattern] if signed else pattern, signed) for s in sign}
    np.testing.assert_allclose(dynamic_map.values, sorted(numbers), rtol=1e-6)
    assert len(numbers) == 256


@pytest.mark.parametrize("compiled", [False, True])
def test_codes_are_nearest(dynamic_map, compiled):
    random = np.random.default_rng(0)
    x = (random.uniform(0, 1, 20_000) * 10 ** random.uniform(-9, 0, 20_000)).astype(np.float32)
    ties = (dynamic_map.values[1:].astype(np.float64) + dynamic_map.values[:-1]).astype(np.float32) / 2
    x = np.concatenate([x, ties, np.nextafter(ties, 2), dynamic_map.values, [0, 1, 1e-30]]).astype(np.float32)
    x = np.concatenate([x, -x]) if dynamic_map.signed else x[x >= 0]
    codes = tf.function(dynamic_map.nearest, jit_compile=compiled)(tf.constant(x)).numpy()
    distance = np.abs(dynamic_map.values[np.newaxis].astype(np.float64) - x[:, np.newaxis])
    nearest = distance.min(axis=1)
    chosen = distance[np.arange(len(x)), codes]
    if not dynamic_map.signed:
        small = (x > 0) & (distance.argmin(axis=1) == 0)
        assert small.any()
        assert (codes[small] == 1).all()
        assert (codes[x == 0] == 0).all()
        x, chosen, nearest = x[~small], chosen[~small], nearest[~small]
    # Between two numbers, the float32 midpoint decides.
    assert (chosen <= nearest + 1e-6 * np.abs(x)).all()


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1,), 256),
        ((255,), 255),
        ((256,), 256),
        ((3, 100), 256),
        ((6, 128), 256),
        ((), 256),
        ((500, 3), 250),
    ],
)
def test_blocks_have_their_own_scale(shape, size):
    """Each of 256 entries in a row, or of a few less that divide all, is right to half a step of its map."""
    random = np.random.default_rng(1)
    flat = random.normal(size=int(np.prod(shape))) * 10.0 ** -(np.arange(int(np.prod(shape))) // size * 3)
    blocks = Blocks(shape)
    assert blocks.size == size
    codes, scales = quantize(blocks.cut(tf.constant(flat.reshape(shape), tf.float32)), SIGNED)
    assert codes.dtype == tf.uint8
    assert codes.shape == (blocks.count, size)
    assert len(scales) == -(-flat.size // size)
    decoded = blocks.join(dequantize(codes, scales, SIGNED))
    assert decoded.shape == shape
    error = np.abs(decoded.numpy().reshape(-1) - flat)
    scale_of_each = np.repeat(scales.numpy(), size)[: flat.size]
    assert (error <= 0.0071 * scale_of_each + 1e-12).all()
    assert (error <= 0.5 * np.abs(flat) + 3e-7 * scale_of_each).all()


@given(st.lists(st.integers(1, 40), max_size=3))
def test_what_is_cut_is_joined_again(shape):
    x = np.random.default_rng(0).normal(size=shape)
    blocks = Blocks(shape)
    cut = blocks.cut(tf.constant(x))
    assert 200 <= blocks.size <= 256
    assert np.count_nonzero(cut) == x.size
    np.testing.assert_array_equal(blocks.join(cut), x)


def test_roots_are_those_of_the_numbers():
    """Of squares near both ends of float32 too."""
    random = np.random.default_rng(0)
    roots = (random.uniform(0.1, 1, (4, 256)) * np.array([[1e18], [1.0], [1e-6], [1e-17]])).astype("float32")
    codes, scales = quantize(tf.constant(roots**2), UNSIGNED, roots=True)
    np.testing.assert_allclose(dequantize(codes, scales, UNSIGNED), roots, rtol=0.05)


def test_zeros_stay_zeros(dynamic_map):
    for roots in (False, not dynamic_map.signed):
        codes, scales = quantize(tf.zeros((2, 256)), dynamic_map, roots=roots)
        np.testing.assert_array_equal(dequantize(codes, scales, dynamic_map), 0.0)
    # What a variable holds before the first update.
    first = dequantize(tf.zeros((2, 256), tf.uint8), tf.zeros(2), dynamic_map)
    np.testing.assert_array_equal(first, 0.0)


def test_what_is_too_small_for_a_reciprocal_is_zero(dynamic_map):
    codes, scales = quantize(tf.fill((1, 256), np.float32(1e-39)), dynamic_map)
    assert np.abs(dequantize(codes, scales, dynamic_map)).max() <= 1e-39
