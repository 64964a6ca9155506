"""Ranks that meet budgets: the integer program, corrected by files that are written and measured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import keras

from tfopt import measure
from tfopt.budgets import Budgets, formatted
from tfopt.channels.costs.bytes_of_weights import bytes_of_weights
from tfopt.channels.costs.files import exported
from tfopt.data.representative import Representative
from tfopt.errors import GoalError
from tfopt.factorization.allocation import allocated
from tfopt.factorization.options import EXTRA_LAYER_BYTES, Option, Options

logger = logging.getLogger(__name__)

_AIMS = {"bytes": 0.99, "latency": 0.97}
"""Metric that is measured -> the share of its limit that is aimed at: clocks vary, and files hold more."""
_ENOUGH = 0.95
"""The share of a limit from which on a measured choice is not improved any more."""
_ROUNDS = 8

Build = Callable[[Sequence[Option]], keras.Model]
"""Returns the model in which each layer has its option."""


class BudgetedRanks:
    """The choice of an option for each layer of a model.

    Args:
        model: functional, of fixed sizes where multiply-accumulates or latency are limited.
        layers: that may be factorized.
        budgets: at least one.
        scheme: of the files, by name.
        data: for ranges of activations in files; None for random samples.
        build: makes the model of a choice.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[Options],
        budgets: Budgets,
        scheme: str,
        data: Representative | None,
        build: Build,
    ) -> None:
        self._layers, self._budgets, self._scheme, self._data = layers, budgets, scheme, data
        self._build = build
        self._measured = [name for name in budgets.limits if name in _AIMS]
        self._original: dict[str, float] = {"params": float(model.count_params())}
        if {"macs", "latency"} & budgets.limits.keys():
            self._original["macs"] = float(measure.macs(model))
        self._content = b""
        if self._measured:
            self._content = exported(model, scheme, data)
            self._original["bytes"] = float(len(self._content))
            self._bytes = bytes_of_weights(model, scheme) if "bytes" in self._measured else {}
        if "latency" in self._measured:
            latency = measure.latency({"original": self._content})["original"]
            self._original["latency"] = latency.median_seconds
        self._limits = budgets.of(self._original)

    def chosen(
        self, options: Sequence[Sequence[Option]], losses: Sequence[Sequence[float]]
    ) -> Sequence[Option]:
        """Return an option for each layer.

        Args:
            options: of each layer, the layer as it is among them.
            losses: of each option.

        Raises:
            GoalError: no choice meets the limits, or none that was measured did.
        """
        costs = {
            name: [
                [self._cost(name, layer, option) for option in each]
                for layer, each in zip(self._layers, options, strict=True)
            ]
            for name in self._limits
        }
        whole = {name: sum(self._cost(name, each, each.whole) for each in self._layers) for name in costs}
        least = {name: sum(min(each) for each in table) for name, table in costs.items()}
        # What is no part of a layer here, such as biases and other layers.
        rest = {name: self._original[name] - whole[name] for name in self._limits}
        self._require_reachable(options, losses, costs, least, rest)
        best: tuple[float, Sequence[Option]] | None = None
        closest: tuple[float, str] = (float("inf"), "")
        seen = set()
        for _ in range(_ROUNDS):
            aims = {name: self._limits[name] * _AIMS.get(name, 1.0) - rest[name] for name in self._limits}
            choice = allocated(options, losses, costs, aims)
            if choice is None:
                break
            loss = _sum(options, losses, choice)
            if not self._measured:
                return choice
            if tuple(choice) in seen:
                break
            seen.add(tuple(choice))
            found = self._measure(choice)
            logger.info("%s: %s", _ranks(choice), _formatted(found))
            worst = max(found[name] / self._limits[name] for name in self._measured)
            if worst <= 1 and (best is None or loss < best[0]):
                best = loss, choice
            closest = min(closest, (worst, _formatted(found)))
            if _ENOUGH <= worst <= 1:
                break
            for name in self._measured:
                predicted = sum(
                    costs[name][number][options[number].index(option)] for number, option in enumerate(choice)
                )
                rest[name] = found[name] - predicted
        if best is None:
            raise GoalError(
                f"No ranks were found whose file meets {self._budgets.describe()}: the closest has "
                f"{closest[1] or 'not been written'}. Allow more, or remove channels first."
            )
        return best[1]

    def _cost(self, name: str, layer: Options, option: Option) -> float:
        if name == "macs":
            return float(option.macs)
        if name == "latency":
            return self._original["latency"] * option.macs / self._original["macs"]
        if name == "params":
            return float(option.weights)
        each = self._bytes[id(layer.candidate.layer.kernel)]
        return option.weights * each + option.extra_layers * EXTRA_LAYER_BYTES

    def _require_reachable(
        self,
        options: Sequence[Sequence[Option]],
        losses: Sequence[Sequence[float]],
        costs: Mapping[str, Sequence[Sequence[float]]],
        least: Mapping[str, float],
        rest: Mapping[str, float],
    ) -> None:
        aims = {name: limit - rest[name] for name, limit in self._limits.items()}
        reach = {name: least[name] + rest[name] for name in self._limits}
        logger.info(
            "reachable: %s",
            "; ".join(
                f"{name} from {formatted(name, low)} to {formatted(name, self._original[name])}"
                for name, low in reach.items()
            ),
        )
        if allocated(options, losses, costs, aims) is None:
            named = "; ".join(
                f"{name} can be from {formatted(name, low)} to {formatted(name, self._original[name])}, and "
                f"{formatted(name, self._limits[name])} was asked for"
                for name, low in reach.items()
            )
            raise GoalError(
                f"Low rank cannot meet the budget {self._budgets.describe()}: {named}. Allow more, or remove "
                "channels first."
            )

    def _measure(self, choice: Sequence[Option]) -> dict[str, float]:
        content = exported(self._build(choice), self._scheme, self._data)
        found = {"bytes": float(len(content))}
        if "latency" in self._measured:
            both = measure.latency({"original": self._content, "low rank": content})["low rank"]
            relative = self._budgets.limits["latency"].relative
            seconds = both.ratio * self._original["latency"] if relative else both.median_seconds
            found["latency"] = seconds
        return found


def _sum(
    options: Sequence[Sequence[Option]], losses: Sequence[Sequence[float]], choice: Sequence[Option]
) -> float:
    return sum(loss[each.index(option)] for each, loss, option in zip(options, losses, choice, strict=True))


def _ranks(choice: Sequence[Option]) -> str:
    return f"{sum(option.ranks is not None for option in choice)} of {len(choice)} layers factorized"


def _formatted(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {formatted(name, value)}" for name, value in found.items())
