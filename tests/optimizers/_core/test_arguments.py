"""Learning rates and patterns that optimizers take."""

import keras
import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.optimizers._core.arguments import learning_rate, patterns


def test_numbers_become_floats_and_what_can_be_called_stays():
    assert type(learning_rate("Adan", "learning_rate", np.float32(0.5))) is float
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert learning_rate("Adan", "learning_rate", schedule) is schedule


@pytest.mark.parametrize("value", ["0.1", None, [0.1], -0.1, float("nan"), float("inf"), True])
def test_other_rates_are_errors(value):
    with pytest.raises(InvalidArgumentError, match="Adan: expected learning_rate to be"):
        learning_rate("Adan", "learning_rate", value)


def test_patterns_are_several():
    assert patterns("LARS", "exclude", ["bias", "gamma"]) == ("bias", "gamma")
    for value in ("bias", 3, None):
        with pytest.raises(InvalidArgumentError, match="LARS: expected exclude to be a list of regular"):
            patterns("LARS", "exclude", value)
