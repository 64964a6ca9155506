"""What every schedule promises. A new schedule is one row of the table."""

import keras
import numpy as np
import pytest

from tfopt import schedules
from tfopt.errors import InvalidArgumentError

SCHEDULES = {
    "WarmupCosine": (
        schedules.WarmupCosine,
        {"peak_learning_rate": 0.1, "warmup_steps": 3, "total_steps": 20},
    ),
}
# schedule: arguments that replace the good ones, and what the message says
BAD_ARGUMENTS = [
    ("WarmupCosine", {"peak_learning_rate": -0.1}, "peak_learning_rate"),
    ("WarmupCosine", {"peak_learning_rate": float("nan")}, "peak_learning_rate"),
    ("WarmupCosine", {"peak_learning_rate": "0.1"}, "peak_learning_rate"),
    ("WarmupCosine", {"initial_learning_rate": -1}, "initial_learning_rate"),
    ("WarmupCosine", {"final_learning_rate": float("inf")}, "final_learning_rate"),
    ("WarmupCosine", {"warmup_steps": -1}, "warmup_steps"),
    ("WarmupCosine", {"warmup_steps": 2.5}, "warmup_steps"),
    ("WarmupCosine", {"warmup_steps": 20}, "warmup_steps < total_steps"),
    ("WarmupCosine", {"total_steps": 0}, "total_steps"),
    ("WarmupCosine", {"total_steps": float("inf")}, "total_steps"),
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
    assert np.all(np.isfinite(rates))
    assert np.all(rates >= 0)


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
