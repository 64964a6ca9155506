"""What every schedule promises. A new schedule is one row of the table."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt import schedules
from tfopt.errors import InvalidArgumentError

STEP = schedules.Step(0.1, step_size=5)
KERAS = keras.optimizers.schedules.CosineDecay(0.1, 10)

SCHEDULES = {
    "Chain": (schedules.Chain, {"schedules": [STEP, KERAS, 0.5]}),
    "CosineRestarts": (
        schedules.CosineRestarts,
        {"initial_learning_rate": 0.1, "first_decay_steps": 4, "m_mul": 0.5, "final_learning_rate": 0.01},
    ),
    "Cyclic": (
        schedules.Cyclic,
        {"base_learning_rate": 0.01, "max_learning_rate": 0.1, "step_size_up": 3, "mode": "triangular2"},
    ),
    "Exponential": (
        schedules.Exponential,
        {"initial_learning_rate": 0.1, "decay_rate": 0.9, "decay_steps": 2, "staircase": True},
    ),
    "InverseSqrt": (schedules.InverseSqrt, {"peak_learning_rate": 0.1, "warmup_steps": 3}),
    "Linear": (
        schedules.Linear,
        {"initial_learning_rate": 0.01, "final_learning_rate": 0.1, "decay_steps": 8},
    ),
    "Noam": (schedules.Noam, {"d_model": 64, "warmup_steps": 10}),
    "OneCycle": (
        schedules.OneCycle,
        {"max_learning_rate": 0.1, "total_steps": 20, "three_phase": True, "anneal": "linear"},
    ),
    "Polynomial": (
        schedules.Polynomial,
        {"initial_learning_rate": 0.1, "decay_steps": 10, "power": 0.5},
    ),
    "REX": (schedules.REX, {"initial_learning_rate": 0.1, "decay_steps": 10}),
    "Sequence": (schedules.Sequence, {"schedules": [0.1, KERAS, STEP], "milestones": [3, 9]}),
    "Step": (
        schedules.Step,
        {"initial_learning_rate": 0.1, "milestones": [3, 9], "gamma": [0.5, 0.2]},
    ),
    "Updates": (
        schedules.Updates,
        {"schedule": schedules.Warmup(STEP, warmup_steps=3), "gradient_accumulation_steps": 2},
    ),
    "Warmup": (schedules.Warmup, {"schedule": schedules.Chain([STEP, KERAS]), "warmup_steps": 3}),
    "WarmupCosine": (
        schedules.WarmupCosine,
        {"peak_learning_rate": 0.1, "warmup_steps": 3, "total_steps": 20},
    ),
    "WarmupStableDecay": (
        schedules.WarmupStableDecay,
        {"peak_learning_rate": 0.1, "warmup_steps": 3, "decay_steps": 5, "total_steps": 20},
    ),
}
# argument of any schedule -> values that are bad for all that have it
BAD_VALUES = {
    "base_learning_rate": [-1],
    "d_model": [0, 1.5, None],
    "decay_rate": [0, -0.5, float("nan"), "0.9"],
    "decay_steps": [0, -3, 2.5, None],
    "decay": ["exp", None],
    "div_factor": [0, -1, float("inf")],
    "final_div_factor": [0, float("nan")],
    "final_learning_rate": [-0.1, float("inf")],
    "first_decay_steps": [0, 1.5],
    "first_step": [-1, 0.5],
    "gradient_accumulation_steps": [0, 1.5, None],
    "initial_learning_rate": [-0.1, float("nan"), "0.1", True],
    "m_mul": [0, 1.1, float("nan")],
    "max_learning_rate": [-1, float("nan")],
    "pct_start": [0, 1, 1.0, -0.1, float("nan"), "0.3"],
    "peak_learning_rate": [-0.1, float("nan"), "0.1", None],
    "power": [0, -1, float("inf")],
    "scale": [-1, float("inf")],
    "schedule": [0.1, "cosine", None, [STEP]],
    "schedules": [[], 0.1, "cosine", [STEP, "cosine"], [STEP, None], [-0.1, STEP]],
    "step_size_down": [0, 2.5],
    "step_size_up": [0, -1, 2.5, None],
    "t_mul": [0, 0.5, float("inf")],
    "timescale": [0, 2.5],
    "total_steps": [0, -5, 10.5, float("inf"), None],
    "warmup_steps": [-1, 2.5, None, "3"],
}
# schedule: arguments that replace the good ones, and what the message says
BAD_ARGUMENTS = [
    ("Cyclic", {"mode": "sine"}, "mode to be one of 'triangular', 'triangular2', 'exp_range'"),
    ("Cyclic", {"gamma": 0}, "gamma"),
    ("Cyclic", {"gamma": 1.01}, r"gamma to be a finite number in \(0, 1\]"),
    ("OneCycle", {"anneal": "cos"}, "anneal to be one of 'cosine', 'linear'"),
    ("OneCycle", {"total_steps": 3, "pct_start": 0.3}, "at least one update in each phase"),
    ("OneCycle", {"pct_start": 0.6}, "at least one update in each phase"),
    ("REX", {"beta": 1.0}, r"beta to be a finite number in \[0, 1\)"),
    ("Sequence", {"milestones": [9, 3]}, "milestones to increase"),
    ("Sequence", {"milestones": [3]}, "one milestone between each two schedules"),
    ("Sequence", {"milestones": 3}, "list of updates"),
    ("Sequence", {"milestones": [0, 3]}, "milestones"),
    ("Step", {"milestones": [3, 3]}, "milestones to increase"),
    ("Step", {"milestones": [3, 4.5]}, "milestones"),
    ("Step", {"milestones": None}, "either step_size or milestones"),
    ("Step", {"step_size": 3}, "either step_size or milestones"),
    ("Step", {"milestones": None, "step_size": 0, "gamma": 0.1}, "step_size"),
    ("Step", {"milestones": None, "step_size": 3}, "gamma"),
    ("Step", {"gamma": [0.1]}, "one gamma for all milestones or one for each, got 1 for 2"),
    ("Step", {"gamma": [0.1, -1]}, "gamma"),
    ("Step", {"gamma": 0}, "gamma"),
    ("Warmup", {"shape": "sine"}, "shape to be one of 'linear', 'cosine', '1-sqrt'"),
    ("Warmup", {"warmup_steps": 0}, "warmup_steps"),
    ("Warmup", {"schedule": schedules.Warmup(STEP, warmup_steps=3)}, "without a warm-up"),
    ("WarmupCosine", {"warmup_steps": 20}, "warmup_steps < total_steps"),
    ("WarmupStableDecay", {"warmup": "sine"}, "warmup to be one of 'linear', 'cosine', '1-sqrt'"),
    ("WarmupStableDecay", {"warmup_steps": 16}, r"warmup_steps \+ decay_steps <= total_steps"),
    *[
        (name, {argument: value}, argument)
        for name, (kind, _) in SCHEDULES.items()
        for argument in inspect.signature(kind).parameters
        for value in BAD_VALUES.get(argument, [])
        if value is not None or inspect.signature(kind).parameters[argument].default is not None
    ],
]


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    kind, arguments = SCHEDULES[request.param]
    return kind(**arguments)


def test_every_schedule_has_a_row():
    public = {name for name in schedules.__all__ if isinstance(getattr(schedules, name), type)}
    assert public == set(SCHEDULES)


def test_config_round_trip(schedule):
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(loaded) is type(schedule)
    assert loaded.get_config() == schedule.get_config()


def test_takes_arrays_and_counts(schedule):
    steps = np.arange(30)
    rates = np.asarray(schedule(steps))
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates, [float(schedule(int(step))) for step in steps], rtol=1e-5)
    assert schedule(steps.reshape(5, 6)).shape == (5, 6)
    assert np.all(np.isfinite(rates))
    assert np.all(rates >= 0)


def test_is_the_same_compiled(schedule):
    rates = tf.function(schedule, jit_compile=True, autograph=False)
    for step in (0, 4, 13):
        compiled = rates(tf.constant(step, "int64"))
        assert compiled.dtype == "float32"
        np.testing.assert_allclose(compiled, schedule(step), rtol=1e-6, atol=1e-9)


def test_counts_far(schedule):
    rates = np.asarray(schedule(np.array([2**31, 2**40])))
    assert np.all(np.isfinite(rates))
    np.testing.assert_array_equal(rates, [schedule(2**31), schedule(2**40)])


def test_drives_a_keras_optimizer_and_is_saved_with_it(schedule, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    model.fit(np.ones((8, 2)), np.ones(8), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert float(loaded.optimizer.learning_rate) == float(schedule(4))


@pytest.mark.parametrize(("name", "arguments", "message"), BAD_ARGUMENTS)
def test_bad_arguments(name, arguments, message):
    kind, good = SCHEDULES[name]
    with pytest.raises(InvalidArgumentError, match=message):
        kind(**{**good, **arguments})
