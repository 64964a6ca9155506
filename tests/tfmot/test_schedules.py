"""Schedules of tfopt as tensorflow-model-optimization calls them."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.pruning import Cubic
from tfopt.tfmot.library import tfmot
from tfopt.tfmot.schedules import CubicSchedule, from_json, to_json


def _sparsities(schedule, steps):
    """Return the sparsity that each step trains with, by the masks that were set last."""
    found, held = [], 0.0
    for step in range(steps):
        changes, sparsity = schedule(tf.constant(step + 1))  # it counts from 1
        held = float(sparsity) if bool(changes) else held
        found.append(held)
    return found


@pytest.mark.parametrize(
    "cubic", [Cubic(begin=2, end=12, frequency=2), Cubic(begin=0.1, end=0.6), Cubic(begin=0, end=7)]
)
def test_the_sparsity_is_that_of_the_schedule(cubic):
    schedule = CubicSchedule(cubic, 0.75)
    schedule.set_total(20)
    expected = [cubic.sparsity_at(step, 20, 0.75) for step in range(20)]
    np.testing.assert_allclose(_sparsities(schedule, 20), expected, atol=1e-6)


def test_it_has_ended_where_the_schedule_has():
    schedule = CubicSchedule(Cubic(begin=2, end=12), 0.75)
    assert [schedule.ended(tf.Variable(step)) for step in (11, 12)] == [False, True]


def test_shares_need_the_number_of_steps():
    with pytest.raises(InvalidArgumentError, match="needs to know the number of its steps"):
        CubicSchedule(Cubic(), 0.5).set_total(None)


def test_schedules_are_json_and_back():
    own = CubicSchedule(Cubic(begin=2, end=12), 0.75)
    back = from_json(json.loads(json.dumps(to_json(own))))
    assert (back.schedule, back.sparsity) == (own.schedule, own.sparsity)
    theirs = tfmot().sparsity.keras.ConstantSparsity(0.5, 0, frequency=1)
    assert from_json(to_json(theirs)).get_config() == theirs.get_config()
    with pytest.raises(InvalidArgumentError, match="Other schedules cannot be saved"):
        to_json({"class_name": "Mine", "config": {}})
