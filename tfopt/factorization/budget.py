"""Ranks that meet budgets: the integer program, corrected by files that are written and measured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import keras

from tfopt import measure
from tfopt.budgets import Budgets, formatted
from tfopt.budgets.attempts import Attempt, best_attempt
from tfopt.budgets.correction import Correction
from tfopt.channels.costs.bytes_of_weights import bytes_of_weights
from tfopt.data.representative import Representative
from tfopt.errors import GoalError
from tfopt.export.untrained import UntrainedFiles
from tfopt.factorization.allocation import allocated
from tfopt.factorization.options import EXTRA_LAYER_BYTES, Option, Options

logger = logging.getLogger(__name__)

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
        self._layers, self._budgets, self._build = layers, budgets, build
        limits = budgets.limits
        self._original: dict[str, float] = {"params": float(model.count_params())}
        if {"macs", "latency"} & limits.keys():
            self._original["macs"] = float(measure.macs(model))
        self._bytes = bytes_of_weights(model, scheme) if "bytes" in limits else {}
        self._files: UntrainedFiles | None = None
        if {"bytes", "latency"} & limits.keys():
            self._files = UntrainedFiles.for_budgets(model, scheme, data, budgets)
            self._original |= self._files.original
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

        def choice_within(limits: Mapping[str, float]) -> Sequence[Option] | None:
            sums = {name: limit - rest[name] for name, limit in limits.items()}
            return allocated(options, losses, costs, sums)

        first = choice_within(self._limits)
        reach = {name: (least[name] + rest[name], self._original[name]) for name in self._limits}
        logger.info("%s", "; ".join(_in_words(reach).values()))
        if first is None:
            raise self._refusal(reach)
        files = self._files
        if files is None:
            return first

        def predicted(choice: Sequence[Option]) -> dict[str, float]:
            pairs = [*zip(self._layers, choice, strict=True)]
            return {name: rest[name] + sum(self._cost(name, *pair) for pair in pairs) for name in rest}

        def propose(aims: Mapping[str, float], _: float) -> Attempt[Sequence[Option]] | None:
            choice = choice_within(aims)
            if choice is None:
                return None
            return Attempt(choice=choice, key=tuple(choice), predicted=predicted(choice))

        def measured(choice: Sequence[Option]) -> dict[str, float]:
            factorized = sum(option.ranks is not None for option in choice)
            logger.info("%d of %d layers factorized", factorized, len(choice))
            return predicted(choice) | files.measured(self._build(choice))

        correction = Correction(self._limits, self._original, self._original)
        return best_attempt(correction, propose, measured, what="ranks").choice

    def _cost(self, name: str, layer: Options, option: Option) -> float:
        if name == "macs":
            return float(option.macs)
        if name == "latency":
            return self._original["latency"] * option.macs / self._original["macs"]
        if name == "params":
            return float(option.weights)
        each = self._bytes[id(layer.candidate.layer.kernel)]
        return option.weights * each + option.extra_layers * EXTRA_LAYER_BYTES

    def _refusal(self, reach: Mapping[str, tuple[float, float]]) -> GoalError:
        """Return the error that says what can be reached: metric -> the least and the original cost."""
        named = "; ".join(
            f"{text}, and {formatted(name, self._limits[name])} was asked for"
            for name, text in _in_words(reach).items()
        )
        return GoalError(
            f"Low rank cannot meet the budget {self._budgets.describe()}: {named}. Allow more, or remove "
            "channels first."
        )


def _in_words(reach: Mapping[str, tuple[float, float]]) -> dict[str, str]:
    return {
        name: f"{name} can be from {formatted(name, low)} to {formatted(name, high)}"
        for name, (low, high) in reach.items()
    }
