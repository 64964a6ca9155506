"""Parameters as Optuna's distributions, and values on their way to Optuna and back."""

from __future__ import annotations

from typing import Any

from keras_tuner.engine.hyperparameters import Int
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tfopt.oracles.parameters import Parameter


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return what Optuna samples for a parameter.

    Numbers are themselves where Optuna can sample them so. Others, such as 1, 2, 4, 8, are indices of the
    values, or a number in [0, 1]; the values are in the attribute "values" of Optuna's trial.
    """
    values, hp = parameter.values, parameter.hp
    if values is None:
        if hp.sampling == "reverse_log":
            return FloatDistribution(0.0, 1.0)
        kind = IntDistribution if isinstance(hp, Int) else FloatDistribution
        return kind(hp.min_value, hp.max_value, log=hp.sampling == "log")
    if isinstance(values, range):
        return IntDistribution(values[0], values[-1], step=values.step)
    if parameter.ordered:
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(values)


def to_optuna(parameter: Parameter, value: Any) -> Any:
    """Return what Optuna stores for a value; for one out of range, as a default may be, the nearest."""
    if parameter.values is None and parameter.hp.sampling == "reverse_log":
        return parameter.coordinate(value)
    if parameter.values is None:
        return min(max(value, parameter.hp.min_value), parameter.hp.max_value)
    if isinstance(parameter.values, range) or not parameter.ordered:
        return parameter.value(parameter.coordinate(value))
    return parameter.coordinate(value)


def from_optuna(parameter: Parameter, stored: Any) -> Any:
    """Return the value that Optuna stored."""
    if parameter.values is None and parameter.hp.sampling == "reverse_log":
        return parameter.value(stored)
    if parameter.values is None or isinstance(parameter.values, range) or not parameter.ordered:
        return stored
    return parameter.value(stored)
