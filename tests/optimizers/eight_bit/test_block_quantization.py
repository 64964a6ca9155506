"""Codes are the nearest of the dynamic map's numbers, block by block."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.optimizers.eight_bit.block_quantization import SIGNED, UNSIGNED, dequantize, quantize

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


@pytest.mark.parametrize("shape", [(1,), (255,), (256,), (3, 100), (2, 3, 128), ()])
def test_blocks_have_their_own_scale(shape):
    """Each of 256 entries in a row, whatever the shape, is right to half a step of its block's map."""
    random = np.random.default_rng(1)
    flat = random.normal(size=int(np.prod(shape))) * 10.0 ** -(np.arange(int(np.prod(shape))) // 256 * 3)
    x = tf.constant(flat.reshape(shape), tf.float32)
    codes, scales = quantize(x, SIGNED)
    assert codes.dtype == tf.uint8
    assert codes.shape == x.shape
    assert len(scales) == -(-max(flat.size, 1) // 256)
    error = np.abs(dequantize(codes, scales, SIGNED).numpy().reshape(-1) - flat)
    scale_of_each = np.repeat(scales.numpy(), 256)[: flat.size]
    assert (error <= 0.0071 * scale_of_each + 1e-12).all()
    assert (error <= 0.5 * np.abs(flat) + 3e-7 * scale_of_each).all()


def test_zeros_stay_zeros(dynamic_map):
    codes, scales = quantize(tf.zeros(300), dynamic_map)
    np.testing.assert_array_equal(dequantize(codes, scales, dynamic_map), 0.0)
    # What a variable holds before the first update.
    np.testing.assert_array_equal(dequantize(tf.zeros(300, tf.uint8), tf.zeros(2), dynamic_map), 0.0)
