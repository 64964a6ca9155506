"""ConstantSparsity, OneShot and RigL as functions of the step; all schedules through a config."""

import math

import keras
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.pruning import ConstantSparsity, Cubic, OneShot, RigL
from tfopt.pruning.plan import Plan

SCHEDULES = [
    Cubic(begin=0.1, end=9, regrow=True),
    ConstantSparsity(begin=3, frequency=2),
    OneShot(at=0.5),
    RigL(fraction=0.2, frequency=7),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_config_round_trip(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    assert keras.saving.deserialize_keras_object(config) == schedule


def test_a_constant_sparsity_holds_and_changes_masks_at_its_steps():
    schedule = ConstantSparsity(begin=4, end=20, frequency=5)
    assert [schedule.sparsity_at(step, None, 0.8) for step in (0, 3, 4, 20, 50)] == [0, 0, 0.8, 0.8, 0.8]
    changes = [schedule.change_at(step, None) for step in range(30)]
    assert [step for step in range(1, 30) if changes[step] != changes[step - 1]] == [9, 14, 19]
    assert not schedule.finished(19, None)
    assert schedule.finished(20, None)
    assert schedule.initial(0.8) == 0
    assert ConstantSparsity().initial(0.8) == 0.8


def test_one_shot_prunes_at_its_moment():
    schedule = OneShot(at=0.25)
    assert [schedule.sparsity_at(step, 40, 0.8) for step in (0, 9, 10, 40)] == [0, 0, 0.8, 0.8]
    assert schedule.initial(0.8) == 0
    assert OneShot(at=0).initial(0.8) == 0.8
    assert [schedule.finished(step, 40) for step in (9, 10)] == [False, True]


def test_rigl_replaces_a_share_that_falls_as_a_cosine():
    schedule = RigL(begin=0, end=100, frequency=10, fraction=0.4)
    changes = [schedule.change_at(step, None) for step in range(130)]
    assert [step for step in range(1, 130) if changes[step] != changes[step - 1]] == [*range(10, 100, 10)]
    assert schedule.sparsity_at(0, None, 0.8) == schedule.initial(0.8) == 0.8
    for step in (0, 25, 50, 100, 120):
        expected = 0.4 / 2 * (1 + math.cos(math.pi * min(step, 100) / 100))
        assert schedule.fraction_at(step, None) == pytest.approx(expected)


@pytest.mark.parametrize("total", [1, 2, 3, 7])
@pytest.mark.parametrize("schedule", [ConstantSparsity(), OneShot(), RigL()])
def test_a_very_short_training_still_reaches_the_end(schedule, total):
    assert schedule.sparsity_at(total, total, 0.8) == 0.8
    assert schedule.finished(total, total)
    schedule.change_at(total, total)


def test_what_a_file_of_an_earlier_version_holds_still_loads():
    """Configs without the keys that came later."""
    cubic = {"begin": 0.0, "end": 0.5, "initial_sparsity": 0.0, "frequency": None}
    plan = {
        "module": "tfopt.pruning.plan",
        "class_name": "Plan",
        "registered_name": "tfopt>Plan",
        "config": {
            "sparsity": 0.8,
            "schedule": {
                "module": "tfopt.pruning.schedule",
                "class_name": "Cubic",
                "registered_name": "tfopt>Cubic",
                "config": cubic,
            },
            "scope": "global",
        },
    }
    assert keras.saving.deserialize_keras_object(plan) == Plan(0.8, Cubic(end=0.5), "global")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneShot(at=1.5), "at must be a step"),
        (lambda: OneShot(at=True), "at must be a step"),
        (lambda: ConstantSparsity(begin=0.8), "end must come after begin"),
        (lambda: ConstantSparsity(frequency=0), "frequency must be"),
        (lambda: RigL(fraction=0), "fraction to be"),
        (lambda: RigL(end=-1), "end must be"),
        (lambda: Cubic(regrow=1), "regrow to be True or False"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make()
