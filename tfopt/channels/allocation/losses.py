"""What each option of a group costs in loss: measured on data, or by the scores of what is removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.channels.allocation.problem import Problem
from tfopt.channels.groups import Dependencies, Slice
from tfopt.quantization.mixed_precision.evaluation_loss import Loss, LossOnData

LossesOf: TypeAlias = Callable[[Problem], list[np.ndarray]]
"""Returns of each group the loss at each of its options, which does not rise with the width."""

_MEASURED = 5
"""At how many widths of a group the loss is measured; between them it is taken for linear."""


def losses_by_scores(problem: Problem) -> list[np.ndarray]:
    """Return of each group the summed scores of the units that each of its options removes."""
    found = []
    for units, allowed in zip(problem.ranked, problem.options, strict=True):
        kept = np.concatenate([[0.0], np.cumsum(problem.scores[units])])
        found.append(kept[-1] - kept[allowed])
    return found


class LossesOnData:
    """By how much the loss on data rises when the lowest units of one group alone are removed.

    Groups add up roughly, as layers do in `tfopt.sensitivity`. The weights of the removed units are set to
    zero for a while; a layer that takes statistics over its channels still counts them.

    Args:
        dependencies: of the model; the weights of its `model` are changed meanwhile.
        x: inputs, samples first.
        y: labels, or None to measure the change of the outputs: its square as a share of theirs.
        loss: of labels and outputs, as `compile` takes it; needed with labels.
        batch_size: samples at once.

    Raises:
        DataError: no samples, or values that are not finite.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        x: Any,
        y: Any = None,
        loss: Loss | None = None,
        batch_size: int = 128,
    ) -> None:
        self._dependencies = dependencies
        chosen = keras.losses.get(loss) if y is not None else None
        self._loss = LossOnData(dependencies.model, x, y, chosen, batch_size)
        self._slices: dict[int, list[Slice]] = {}
        for part in dependencies.slices:
            self._slices.setdefault(id(part.variable), []).append(part)

    def __call__(self, problem: Problem) -> list[np.ndarray]:
        """Return of each group the increase of the loss at each option; it does not rise with the width."""
        found = []
        for units, allowed in zip(problem.ranked, problem.options, strict=True):
            widths = allowed[np.unique(np.linspace(0, len(allowed) - 1, _MEASURED).round().astype(int))]
            increases = [self._without(units[int(width) :]) - self._loss.baseline for width in widths[:-1]]
            # That a narrower group does better is chance, on so few samples.
            rising = np.maximum.accumulate(np.array([*increases, 0.0])[::-1])[::-1]
            found.append(np.interp(allowed, widths, rising))
        return found

    def _without(self, units: np.ndarray) -> float:
        """Return the loss where the weights of some units are zero."""
        keep = np.ones(self._dependencies.count, bool)
        keep[units] = False
        kept: list[tuple[keras.Variable, np.ndarray]] = []
        try:
            for parts in self._slices.values():
                variable = parts[0].variable
                values = None
                for part in parts:
                    removed = np.flatnonzero(~np.append(keep, True)[part.units])
                    if len(removed):
                        values = variable.numpy().copy() if values is None else values
                        values[(slice(None),) * part.axis + (removed,)] = 0
                if values is not None:
                    kept.append((variable, variable.numpy()))
                    variable.assign(values)
            return self._loss()
        finally:
            for variable, values in kept:
                variable.assign(values)
