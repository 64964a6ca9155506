"""Neighbours of a point in a space of hyperparameters: what simulated annealing moves to."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from tfopt.oracles.parameters import Parameter, active_values, chosen_values


def neighbour(
    values: dict[str, Any],
    space: Iterable[Any],
    known: Sequence[Parameter],
    generator: random.Random,
    *,
    reach: float = 0.15,
) -> dict[str, Any]:
    """Return values close to others.

    One active hyperparameter changes, sometimes a few: a number by a normal step in the space that it is
    sampled in (linear or logarithmic) and at least to the next value, a name to any other. What becomes
    active by that is drawn at random.

    Args:
        values: of the active hyperparameters.
        space, known: the hyperparameters, parents first, and those that vary.
        generator: of the random numbers.
        reach: the standard deviation of a step as a fraction of the range.
    """
    space = list(space)
    chosen = chosen_values(values, known)
    free = [parameter for parameter in known if parameter.name in chosen and _can_move(parameter)]
    if not free:
        return dict(values)
    moving = [each for each in free if generator.random() < 1 / len(free)] or [generator.choice(free)]
    for parameter in moving:
        chosen[parameter.name] = _moved(parameter, chosen[parameter.name], generator, reach)
    for parameter in known:
        if parameter.name not in chosen:
            chosen[parameter.name] = _drawn(parameter, generator)
    return active_values(space, chosen, known)


def _can_move(parameter: Parameter) -> bool:
    if parameter.values is None:
        return bool(parameter.hp.max_value > parameter.hp.min_value)
    return len(parameter.values) > 1


def _moved(parameter: Parameter, value: Any, generator: random.Random, scale: float) -> Any:
    at = parameter.coordinate(value)
    if parameter.values is None:
        moved = parameter.value(_reflected(at + generator.gauss(0, scale), 0.0, 1.0))
        return moved if moved != value else _next_integer(parameter, value, generator)
    count = len(parameter.values)
    if not parameter.ordered:
        return parameter.values[(int(at) + generator.randrange(1, count)) % count]
    step = round(generator.gauss(0, scale * count)) or generator.choice((-1, 1))
    moved_to = _reflected(at + step, 0, count - 1)
    return parameter.value(moved_to if moved_to != at else (at + 1 if at + 1 < count else at - 1))


def _next_integer(parameter: Parameter, value: Any, generator: random.Random) -> Any:
    """Return an integer beside another, where a step in a range of integers was too small to leave it."""
    low, high = parameter.hp.min_value, parameter.hp.max_value
    beside = [each for each in (value - 1, value + 1) if isinstance(value, int) and low <= each <= high]
    return generator.choice(beside) if beside else value


def _drawn(parameter: Parameter, generator: random.Random) -> Any:
    if parameter.values is None:
        return parameter.value(generator.random())
    return parameter.values[generator.randrange(len(parameter.values))]


def _reflected(at: float, low: float, high: float) -> float:
    """Return a coordinate that left a range as a mirror at its limit throws it back."""
    if at < low:
        at = 2 * low - at
    elif at > high:
        at = 2 * high - at
    return min(max(at, low), high)
