import numpy as np
import pytest

from tfopt.pruning.selection import magnitude_masks


def _alive(*arrays):
    return [np.ones(a.shape, bool) for a in arrays]


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.333, 0.5, 0.8, 0.97, 0.999])
@pytest.mark.parametrize("shape", [(1,), (7, 3), (3, 3, 5, 11)])
@pytest.mark.parametrize("values", ["different", "equal", "few"])
def test_the_asked_sparsity_is_met_to_the_nearest_weight(sparsity, shape, values):
    rng = np.random.default_rng(0)
    weights = {
        "different": rng.normal(size=shape),
        "equal": np.full(shape, 0.5),
        "few": rng.integers(-1, 2, shape),
    }[values].astype("float32")
    (mask,) = magnitude_masks([weights], _alive(weights), sparsity)
    assert mask.shape == shape
    assert abs(np.count_nonzero(~mask) - sparsity * weights.size) <= 0.5 or np.count_nonzero(mask) == 1
    assert mask.any()


def test_the_smallest_go_whatever_their_sign():
    weights = np.array([[-3.0, 0.1, 2.0], [-0.2, 1.0, -5.0]])
    (mask,) = magnitude_masks([weights], _alive(weights), 0.5)
    np.testing.assert_array_equal(mask, [[True, False, True], [False, False, True]])


def test_of_equal_weights_those_go_first_that_are_pruned_already_then_the_first_in_order():
    weights = np.zeros(6)
    mask = np.array([True, True, True, True, False, True])
    (mask,) = magnitude_masks([weights], [mask], 0.5)
    np.testing.assert_array_equal(mask, [False, False, True, True, False, True])


def test_zeros_that_are_there_stay_above_the_asked_sparsity():
    weights = np.array([0.0, 0.0, 0.0, 1.0])
    before = weights != 0
    (mask,) = magnitude_masks([weights], [before], 0.25)
    np.testing.assert_array_equal(mask, before)


def test_together_arrays_share_one_threshold():
    rng = np.random.default_rng(1)
    small, large = 0.1 * rng.normal(size=(10, 10)), rng.normal(size=(4, 5))
    masks = magnitude_masks([small, large], _alive(small, large), 0.6)
    pruned = np.concatenate([np.abs(w)[~m] for w, m in zip((small, large), masks, strict=True)])
    kept = np.concatenate([np.abs(w)[m] for w, m in zip((small, large), masks, strict=True)])
    assert pruned.size == 72
    assert pruned.max() <= kept.min()


def test_weights_that_are_no_numbers_are_kept_to_be_seen():
    weights = np.array([np.nan, 1.0, -np.inf, 2.0])
    (mask,) = magnitude_masks([weights], _alive(weights), 0.5)
    np.testing.assert_array_equal(mask, [True, False, True, False])
