"""Choosing the bits of each layer: as few bytes, or as little loss, as the other allows."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt import _validation
from tfopt.data.labelled import labelled
from tfopt.errors import GoalError, InvalidArgumentError
from tfopt.quantization.mixed_precision.bit_allocation import BitAllocation, LayerChoice
from tfopt.quantization.mixed_precision.evaluation_loss import Loss
from tfopt.quantization.mixed_precision.sensitivity import sensitivity
from tfopt.quantization.qat.calibrate import calibrate
from tfopt.quantization.qat.quantize_aware import quantize_aware
from tfopt.quantization.scheme import SCHEMES

logger = logging.getLogger(__name__)

Metric: TypeAlias = Callable[[Any, Any], float]
"""Of labels and outputs, larger is better."""

_TURNS = 8
"""How often the bound on the summed increase of the loss is halved between what holds and what does not."""

_HALF = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixedPrecision:
    """What was chosen, and why.

    Attributes:
        rules: layer path -> scheme, for `quantize_aware` and the stage `QuantizeAware`.
        layers: the choices, the most sensitive layer first.
        weight_bytes: of all weights together, without what else a file holds.
        metric: of the model in float on the data; NaN without labels.
        quantized_metric: of the quantized, calibrated and untrained model.
        model: that model, to be trained further or exported.
    """

    rules: dict[str, str]
    layers: tuple[LayerChoice, ...]
    weight_bytes: int
    metric: float
    quantized_metric: float
    model: keras.Model

    @property
    def drop(self) -> float:
        """What quantizing took off the metric."""
        return self.metric - self.quantized_metric

    def __str__(self) -> str:
        """Return the table: a layer a row, its scheme, its bytes and what it alone costs."""
        width = max([len("layer"), *(len(layer.path) for layer in self.layers)])
        rows = [
            f"{layer.path:<{width}}{layer.scheme:>10}{layer.bytes:>12}{layer.increase:>+14.3g}"
            for layer in self.layers
        ]
        head = f"{'layer':<{width}}{'scheme':>10}{'bytes':>12}{'loss':>14}"
        end = f"{self.weight_bytes} bytes of weights"
        if math.isfinite(self.drop):
            end += f"; metric {self.metric:.4f} in float, {self.quantized_metric:.4f} quantized"
        return "\n".join([head, *rows, end])


def mixed_precision(
    model: keras.Model,
    data: Any,
    *,
    max_bytes: int | None = None,
    max_drop: float | None = None,
    schemes: Sequence[str] = ("int8", "int4"),
    metric: Metric | None = None,
    loss: Loss | None = None,
    batch_size: int = 128,
    calibration_samples: int = 256,
) -> MixedPrecision:
    """Return which scheme to give each layer so that `model` is small enough, or good enough.

    With `max_bytes`, the summed increase of the loss is least among all choices that fit; with `max_drop`,
    the bytes are fewest among those whose summed increase is below a bound, and the bound is found by
    measuring the quantized model: the layers that cost most keep more bits until the goal holds. Both are
    integer programs, solved exactly (HiGHS, by `scipy.optimize.milp`).

    Args:
        model: a built Sequential or functional model in float. It is not changed.
        data: `(x, y)`, a `tfopt.data.Dataset` (its validation split), or, with `max_bytes`, inputs alone.
        max_bytes: of all weights together in the file, scales and structure not counted.
        max_drop: how much of the metric, in its own unit, quantizing may take off before any training.
        schemes: to choose from, two or more.
        metric: of labels and outputs, larger is better; by default the accuracy of class labels.
        loss: as `sensitivity` takes it.
        batch_size: samples at once.
        calibration_samples: of the inputs, for the ranges of activations.

    Raises:
        InvalidArgumentError: not exactly one goal, or an unknown scheme.
        GoalError: no choice meets the goal; its `best` is the closest.
        UnsupportedModel, UnsupportedOperation, DataError: as `sensitivity` and `quantize_aware` do.

    Reference:
        Yao et al., 2021, HAWQ-V3: Dyadic Neural Network Quantization (arXiv 2011.10680), section 3.4, for
        the integer program.
    """
    _check_arguments(max_bytes, max_drop, schemes, calibration_samples)
    x, y = labelled(data, "mixed_precision: data", split="validation")
    scored = None if y is None else (metric or _accuracy_of(y))
    if max_drop is not None and scored is None:
        raise InvalidArgumentError("mixed_precision: max_drop needs labels: give data=(x, y).")
    table = sensitivity(model, (x, y) if y is not None else x, schemes, loss=loss, batch_size=batch_size)
    program = BitAllocation(table)
    calibration = keras.tree.map_structure(lambda array: array[:calibration_samples], x)

    def score(of: keras.Model) -> float:
        if scored is None:
            return math.nan
        return float(scored(y, of.predict(x, batch_size=batch_size, verbose=0)))

    before = score(model)

    def attempt(names: Sequence[str]) -> MixedPrecision:
        choices = program.choices(names)
        rules = {choice.path: choice.scheme for choice in choices}
        quantized = quantize_aware(model, rules=rules)
        calibrate(quantized, calibration)
        found = MixedPrecision(
            rules=rules,
            layers=choices,
            weight_bytes=sum(choice.bytes for choice in choices),
            metric=before,
            quantized_metric=score(quantized),
            model=quantized,
        )
        logger.info("tried %d bytes of weights: metric %g", found.weight_bytes, found.quantized_metric)
        return found

    if max_bytes is None:
        return _within_drop(program, attempt, float(max_drop or 0.0))
    return _within_bytes(program, attempt, max_bytes, schemes)


def _check_arguments(
    max_bytes: int | None, max_drop: float | None, schemes: Sequence[str], calibration_samples: int
) -> None:
    """Raise `InvalidArgumentError` where `mixed_precision` cannot be meant so."""
    if (max_bytes is None) == (max_drop is None):
        raise InvalidArgumentError(
            f"mixed_precision: expected either max_bytes or max_drop, got {max_bytes!r} and {max_drop!r}."
        )
    for name in schemes:
        _validation.choice("mixed_precision", "each of schemes", name, SCHEMES)
    _validation.whole("mixed_precision", "the number of schemes", len(set(schemes)), at_least=2)
    _validation.whole("mixed_precision", "calibration_samples", calibration_samples, at_least=1)
    if max_bytes is None:
        _validation.number("mixed_precision", "max_drop", max_drop, at_least=0)
    else:
        _validation.whole("mixed_precision", "max_bytes", max_bytes, at_least=1)


def _within_bytes(
    program: BitAllocation,
    attempt: Callable[[Sequence[str]], MixedPrecision],
    max_bytes: int,
    schemes: Sequence[str],
) -> MixedPrecision:
    """Return the attempt of least loss in so many bytes."""
    if program.least_bytes > max_bytes:
        best = attempt(program.fewest_bytes(math.inf))
        raise GoalError(
            f"No choice of {', '.join(schemes)} brings the weights below {max_bytes} bytes: the smallest "
            f"has {best.weight_bytes}. Allow a scheme of fewer bits, or prune or shrink the model first.",
            best,
        )
    return attempt(program.least_loss(max_bytes))


def _within_drop(
    program: BitAllocation, attempt: Callable[[Sequence[str]], MixedPrecision], max_drop: float
) -> MixedPrecision:
    """Return the attempt of fewest bytes that was found to keep the drop."""
    smallest = attempt(program.fewest_bytes(math.inf))
    if smallest.drop <= max_drop:
        return smallest
    best = attempt(program.fewest_bytes(program.least_increase))
    if best.drop > max_drop:
        raise GoalError(
            f"With every layer in the scheme that costs it least, the metric still drops by {best.drop:.4g} "
            f"(goal {max_drop:g}). Train the quantized model (`best.model`), or allow a scheme of more bits.",
            best,
        )
    low, high = (
        program.least_increase,
        sum(choice.increase for choice in smallest.layers if choice.increase > 0),
    )
    tried = {tuple(smallest.rules.values()), tuple(best.rules.values())}
    for _ in range(_TURNS):
        middle = (low + high) / 2
        names = program.fewest_bytes(middle)
        found = attempt(names) if tuple(names) not in tried else None
        tried.add(tuple(names))
        if found is not None and found.drop <= max_drop and found.weight_bytes < best.weight_bytes:
            best = found
        if found is None:
            holds = tuple(names) == tuple(best.rules.values())
        else:
            holds = found.drop <= max_drop
        low, high = (middle, high) if holds else (low, middle)
    return best


def _accuracy_of(y: Any) -> Metric:
    """Return the accuracy of class labels.

    Raises:
        InvalidArgumentError: they are none.
    """
    labels = np.asarray(y) if not isinstance(y, (tuple, dict)) else np.zeros((0, 0))
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InvalidArgumentError(
            "mixed_precision: give metric=..., a function of labels and outputs: the labels are not those of "
            "classes, whole numbers."
        )

    def accuracy(_: Any, outputs: np.ndarray) -> float:
        several = outputs.ndim == 2 and outputs.shape[1] > 1
        predicted = outputs.argmax(axis=1) if several else outputs.ravel() > _HALF
        return float(np.mean(predicted == labels))

    return accuracy
