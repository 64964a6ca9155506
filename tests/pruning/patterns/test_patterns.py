"""Patterns on arrays: how many zeros, where, and at sizes that do not divide."""

import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.pruning.patterns import Layout, pattern_of
from tfopt.pruning.selection import select_masks


def _dense(rows, columns):
    """The layout of a Dense kernel of so many outputs and inputs."""
    return Layout((), (1,), (0,), (columns, rows))


def _mask(weights, pattern, sparsity, before=None):
    before = np.ones(weights.shape, bool) if before is None else before
    (mask,) = select_masks(
        [np.abs(weights)],
        [before],
        sparsity,
        layouts=[_dense(*weights.shape[::-1])],
        pattern=pattern_of(pattern),
    )
    return mask


@pytest.mark.parametrize(("n", "m"), [(1, 4), (2, 4), (3, 4), (4, 8), (1, 2)])
@pytest.mark.parametrize("inputs", [16, 17, 19, 22])
def test_n_of_m_keeps_the_largest_of_each_group(n, m, inputs):
    weights = np.random.default_rng(0).normal(size=(inputs, 5)).astype("float32")
    mask = _mask(weights, f"{n}:{m}", 1 - n / m)
    for output in range(5):
        for start in range(0, inputs, m):
            group, kept = weights[start : start + m, output], mask[start : start + m, output]
            # The last group is filled up with zeros, of which none is kept before a weight.
            assert kept.sum() == min(n, len(group))
            assert np.abs(group[kept]).min() >= np.abs(group[~kept]).max(initial=0)


def test_n_of_m_comes_about_gradually_within_its_groups():
    weights = np.random.default_rng(1).normal(size=(16, 6)).astype("float32")
    mask = np.ones(weights.shape, bool)
    for sparsity in (0.1, 0.25, 0.4, 0.5):
        new = _mask(weights * mask, "2:4", sparsity, mask)
        assert not new[~mask].any()
        assert np.count_nonzero(~new) == round(sparsity * weights.size)
        assert new.T.reshape(-1, 4).sum(axis=1).min() >= 2
        mask = new
    np.testing.assert_array_equal(mask, _mask(weights, "2:4", 0.5))


def test_of_equal_weights_in_a_group_the_first_stay():
    mask = _mask(np.ones((8, 1), "float32"), "2:4", 0.5)
    np.testing.assert_array_equal(mask[:, 0], [True, True, False, False] * 2)


@pytest.mark.parametrize("pattern", ["1x4", "4x1", "1x16", "4x4", "2x3"])
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(32, 24), (30, 23)])
def test_blocks_live_or_die_as_a_whole(pattern, sparsity, shape):
    outputs, inputs = map(int, pattern.split("x"))
    weights = np.random.default_rng(0).normal(size=shape).astype("float32")
    mask = _mask(weights, pattern, sparsity)
    blocks = [
        (mask[i : i + inputs, o : o + outputs], np.abs(weights[i : i + inputs, o : o + outputs]).mean())
        for i in range(0, shape[0], inputs)
        for o in range(0, shape[1], outputs)
    ]
    assert all(block.all() or not block.any() for block, _ in blocks)
    dead = [mean for block, mean in blocks if not block.any()]
    alive = [mean for block, mean in blocks if block.any()]
    assert abs(len(dead) - sparsity * len(blocks)) <= 0.5
    assert max(dead, default=0) <= min(alive) + 1e-6


def test_a_block_of_live_and_pruned_weights_is_alive_and_keeps_its_zeros():
    weights = np.full((4, 4), 2.0, "float32")
    before = np.ones((4, 4), bool)
    before[:2, 0] = False
    weights[~before] = 0
    mask = _mask(weights, "1x4", 0.25, before)
    assert not mask[:, 0].any()  # its mean is the lowest
    assert mask[:, 1:].all()
    np.testing.assert_array_equal(_mask(weights, "1x4", 0.0, before), before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2:2", "must keep 1 or more"),
        ("0:4", "must keep 1 or more"),
        ("1x1", "no block of several weights"),
        ("0x4", "no block of several weights"),
        ("2/4", "Did you mean '2:4'"),
        ("unstructred", "Did you mean 'unstructured'"),
        ((2, 4), "Expected pattern"),
        (4, "Expected pattern"),
    ],
)
def test_what_is_no_pattern_is_told(name, message):
    with pytest.raises(InvalidArgumentError, match=message):
        pattern_of(name)
