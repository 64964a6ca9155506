import keras
import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.pruning import Cubic


@pytest.mark.parametrize("frequency", [1, 5, 20])
def test_it_is_equation_1_of_zhu_and_gupta(frequency):
    begin, end, initial, final = 30, 130, 0.2, 0.9
    schedule = Cubic(begin=begin, end=end, initial_sparsity=initial, frequency=frequency)
    for t in range(begin, end + 1, frequency):
        n = (end - begin) // frequency
        expected = final + (initial - final) * (1 - (t - begin) / (n * frequency)) ** 3
        for step in range(t, min(t + frequency, end)):  # constant up to the next rise
            assert schedule.sparsity_at(step, None, final) == pytest.approx(expected, abs=1e-12)


def test_it_starts_at_the_initial_sparsity_never_falls_and_stays_at_the_final():
    schedule = Cubic(begin=0.1, end=0.6, initial_sparsity=0.3)
    values = [schedule.sparsity_at(step, 1000, 0.8) for step in range(1200)]
    assert values[:101] == pytest.approx([0.3] * 101, abs=1e-12)
    assert np.all(np.diff(values) >= 0)
    assert values[600:] == [0.8] * 600
    assert values[599] < 0.8
    assert len(set(values)) == 51  # 50 rises by default


def test_a_share_of_the_steps_is_a_float_and_a_step_an_int():
    assert not Cubic(begin=0, end=1.0).finished(99, 100)
    assert Cubic(begin=0, end=1.0).finished(100, 100)
    assert Cubic(begin=0, end=1).finished(1, None)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_very_short_training_still_reaches_the_end(steps):
    schedule = Cubic()
    values = [schedule.sparsity_at(step, steps, 0.8) for step in range(steps + 1)]
    assert values[-1] == 0.8
    assert np.all(np.diff(values) >= 0)


def test_config_round_trip():
    schedule = Cubic(begin=10, end=0.9, initial_sparsity=0.5, frequency=7)
    config = keras.saving.serialize_keras_object(schedule)
    assert keras.saving.deserialize_keras_object(config) == schedule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"begin": -1}, "begin must be"),
        ({"end": 1.5}, "end must be"),
        ({"end": "late"}, "end must be"),
        ({"begin": 0.7, "end": 0.7}, "end must come after begin"),
        ({"begin": 20, "end": 10}, "end must come after begin"),
        ({"initial_sparsity": 1.0}, "initial_sparsity must be"),
        ({"frequency": 0}, "frequency must be"),
        ({"frequency": 2.5}, "frequency must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Cubic(**arguments)


def test_shares_need_the_number_of_steps():
    with pytest.raises(InvalidArgumentError, match="steps_per_epoch"):
        Cubic().sparsity_at(0, None, 0.8)
