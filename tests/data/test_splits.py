"""Which samples are held out."""

import numpy as np
import pytest

from tfopt.data.splits import hold_out
from tfopt.errors import InvalidArgumentError


def test_the_share_is_held_out_and_a_seed_decides_which():
    held = hold_out(100, 0.2, seed=1)
    assert held.sum() == 20
    assert np.array_equal(held, hold_out(100, 0.2, seed=1))
    assert not np.array_equal(held, hold_out(100, 0.2, seed=2))


def test_each_class_is_held_out_in_proportion():
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    held = hold_out(100, 0.1, seed=0, labels=labels)
    assert np.bincount(labels[held]).tolist() == [7, 2, 1]


@pytest.mark.parametrize(("count", "share", "held"), [(2, 0.01, 1), (2, 0.99, 1), (3, 0.9, 2)])
def test_there_is_always_one_held_out_and_one_left(count, share, held):
    assert hold_out(count, share, seed=0).sum() == held


@pytest.mark.parametrize(("count", "share"), [(10, 0.0), (10, 1.0), (1, 0.5)])
def test_what_cannot_be_split_is_refused(count, share):
    with pytest.raises(InvalidArgumentError):
        hold_out(count, share, seed=0)
