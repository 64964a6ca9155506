"""What one kernel's pruning aims at, step by step, and through a config."""

import keras
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.pruning import Cubic
from tfopt.pruning.plan import Plan


def test_without_a_schedule_the_sparsity_is_there_at_once():
    plan = Plan(0.8)
    assert plan.initial_sparsity == plan.sparsity_at(0, None) == 0.8
    assert plan.finished(0, None)


def test_with_a_schedule_it_rises_to_the_end():
    plan = Plan(0.8, Cubic(begin=10, end=20, initial_sparsity=0.5, frequency=1))
    assert plan.initial_sparsity == plan.sparsity_at(10, None) == 0.5
    assert 0.5 < plan.sparsity_at(15, None) < plan.sparsity_at(20, None) == 0.8
    assert not plan.finished(19, None)
    assert plan.finished(20, None)


def test_an_initial_sparsity_is_never_above_the_final():
    assert Plan(0.3, Cubic(initial_sparsity=0.5)).initial_sparsity == 0.3


def test_the_config_returns():
    plan = Plan(0.8, Cubic(end=0.5), "global")
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(plan))
    assert loaded == plan


@pytest.mark.parametrize(("arguments", "message"), [((1.0,), "sparsity"), ((0.5, None, "model"), "scope")])
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Plan(*arguments)
