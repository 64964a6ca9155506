"""Hyperparameters of keras-tuner as what search algorithms move in: values in an order, a range, or names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner
from keras_tuner.engine.hyperparameters import Boolean, Choice, Fixed, Float, HyperParameter, Int


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter that can vary.

    Attributes:
        name: unique in its space: keras-tuner allows a name twice under different conditions.
        hp: the hyperparameter.
        values: all values it can take, in order; `None` for a range of numbers.
        ordered: whether neighbours in `values` are more alike than others.
    """

    name: str
    hp: HyperParameter
    values: Sequence[Any] | None
    ordered: bool

    @property
    def is_range(self) -> bool:
        """Whether it takes any number of a range; its coordinate is then in [0, 1]."""
        return self.values is None

    def takes(self, value: Any) -> bool:
        """Return whether a value is one of the parameter's."""
        if self.values is not None:
            close = isinstance(value, float)
            return any(each == value or (close and math.isclose(each, value)) for each in self.values)
        kinds = (int,) if isinstance(self.hp, Int) else (int, float)
        return isinstance(value, kinds) and self.hp.min_value <= value <= self.hp.max_value

    def value(self, coordinate: float) -> Any:
        """Return the value at a coordinate: an index into `values`, or a number in [0, 1] of a range."""
        if self.values is not None:
            return self.values[min(max(round(coordinate), 0), len(self.values) - 1)]
        value = self.hp.prob_to_value(min(max(float(coordinate), 0.0), 1.0))
        # keras-tuner's range of integers ends one above the largest.
        return min(max(value, self.hp.min_value), self.hp.max_value)

    def coordinate(self, value: Any) -> float:
        """Return the coordinate of a value; that of the nearest for one that the parameter cannot take."""
        if self.values is None:
            value = min(max(value, self.hp.min_value), self.hp.max_value)
            return min(max(float(self.hp.value_to_prob(value)), 0.0), 1.0)
        if isinstance(self.values, range):
            index = round((value - self.values.start) / self.values.step)
            return min(max(index, 0), len(self.values) - 1)
        if value in self.values:
            return self.values.index(value)
        return min(range(len(self.values)), key=lambda i: abs(self.values[i] - value))  # type: ignore[index]


def parameters(space: Iterable[HyperParameter]) -> list[Parameter]:
    """Return the parameters of a space, parents before what depends on them; fixed values are none."""
    found: list[Parameter] = []
    names: set[str] = set()
    for hp in space:
        if isinstance(hp, Fixed):
            continue
        name = hp.name
        if name in names:
            name = f"{name} ({', '.join(f'{each.name}={each.values}' for each in hp.conditions)})"
        names.add(name)
        values, ordered = _values(hp)
        found.append(Parameter(name, hp, values, ordered))
    return found


def active_values(
    space: Iterable[HyperParameter], chosen: dict[str, Any], of: Iterable[Parameter]
) -> dict[str, Any]:
    """Return name -> value of the hyperparameters that are active with the chosen values.

    Args:
        space: the hyperparameters, parents first.
        chosen: name of a parameter -> value; what is missing takes its default.
        of: the parameters of the space.
    """
    names = {id(parameter.hp): parameter.name for parameter in of}
    found = keras_tuner.HyperParameters()
    for hp in space:
        found.merge([hp])
        if found.is_active(hp) and names.get(id(hp)) in chosen:
            found.values[hp.name] = chosen[names[id(hp)]]
    return dict(found.values)


def chosen_values(values: dict[str, Any], of: Iterable[Parameter]) -> dict[str, Any]:
    """Return name of a parameter -> value, for those that are active in the values of a trial."""
    trial = keras_tuner.HyperParameters()
    trial.values = dict(values)
    return {
        parameter.name: values[parameter.hp.name]
        for parameter in of
        if parameter.hp.name in values and trial.is_active(parameter.hp)
    }


def _values(hp: HyperParameter) -> tuple[Sequence[Any] | None, bool]:
    if isinstance(hp, Boolean):
        return (False, True), False
    if isinstance(hp, Choice):
        values = list(hp.values)
        return values, bool(hp.ordered) and values in (sorted(values), sorted(values, reverse=True))
    if isinstance(hp, Int) and hp.sampling == "linear":
        return range(hp.min_value, hp.max_value + 1, hp.step), True
    if isinstance(hp, Int | Float) and hp.step is not None:
        convert = int if isinstance(hp, Int) else float
        return sorted(convert(value) for value in hp.values), True
    return None, True
