"""Choosing the bits of each layer: as few bytes, or as little loss, as the other allows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from scipy import optimize

from tfopt import arguments
from tfopt.data import Dataset
from tfopt.errors import GoalError, InvalidArgumentError
from tfopt.quantization.calibrate import calibrate
from tfopt.quantization.layer_loss import Loss
from tfopt.quantization.quantize_aware import quantize_aware
from tfopt.quantization.scheme import SCHEMES, scheme_of
from tfopt.quantization.sensitivity import LayerSensitivity, Sensitivity, labelled, sensitivity

Metric: TypeAlias = Callable[[Any, Any], float]
"""Of labels and outputs, larger is better."""

_TURNS = 8
"""How often the bound on the summed increase of the loss is halved between what holds and what does not."""

_FEWEST_BITS = {"Dense": 2, "Conv2DTranspose": 8}
"""Class of a layer -> the fewest bits that LiteRT reads its weights in, 4 for others."""

_HALF = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerChoice:
    """The scheme of one layer.

    Attributes:
        path: of the layer.
        scheme: by name.
        bytes: of its weights in the file.
        increase: of the loss with this layer alone in the scheme.
    """

    path: str
    scheme: str
    bytes: int
    increase: float


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
    measuring the quantized model: the layers that hurt most stay wide until the goal holds. Both are integer
    programs, solved exactly (HiGHS, by `scipy.optimize.milp`).

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
    if (max_bytes is None) == (max_drop is None):
        raise InvalidArgumentError(
            f"mixed_precision: expected either max_bytes or max_drop, got {max_bytes!r} and {max_drop!r}."
        )
    for name in schemes:
        arguments.choice("mixed_precision", "each of schemes", name, SCHEMES)
    arguments.whole("mixed_precision", "the number of schemes", len(set(schemes)), at_least=2)
    arguments.whole("mixed_precision", "calibration_samples", calibration_samples, at_least=1)
    x, y = data.split("validation") if isinstance(data, Dataset) else labelled(data)
    scored = None if y is None else (metric or _accuracy_of(y))
    if max_drop is not None and scored is None:
        raise InvalidArgumentError("mixed_precision: max_drop needs labels: give data=(x, y).")
    table = sensitivity(model, (x, y) if y is not None else x, schemes, loss=loss, batch_size=batch_size)
    program = _Program(table)
    calibration = keras.tree.map_structure(lambda array: array[:calibration_samples], x)

    def score(of: keras.Model) -> float:
        return (
            math.nan if scored is None else float(scored(y, of.predict(x, batch_size=batch_size, verbose=0)))
        )

    before = score(model)

    def attempt(names: Sequence[str]) -> MixedPrecision:
        choices = program.choices(names)
        rules = {choice.path: choice.scheme for choice in choices}
        quantized = quantize_aware(model, rules=rules)
        calibrate(quantized, calibration)
        return MixedPrecision(
            rules=rules,
            layers=choices,
            weight_bytes=sum(choice.bytes for choice in choices),
            metric=before,
            quantized_metric=score(quantized),
            model=quantized,
        )

    if max_bytes is not None:
        arguments.whole("mixed_precision", "max_bytes", max_bytes, at_least=1)
        if program.least_bytes > max_bytes:
            best = attempt(program.fewest_bytes(math.inf))
            raise GoalError(
                f"No choice of {', '.join(schemes)} brings the weights below {max_bytes} bytes: the smallest "
                f"has {best.weight_bytes}. Allow a narrower scheme, or prune or shrink the model first.",
                best,
            )
        return attempt(program.least_loss(max_bytes))
    return _within(program, attempt, arguments.number("mixed_precision", "max_drop", max_drop, at_least=0))


def _within(
    program: _Program, attempt: Callable[[Sequence[str]], MixedPrecision], max_drop: float
) -> MixedPrecision:
    """Return the attempt of fewest bytes that was found to keep the drop."""
    smallest = attempt(program.fewest_bytes(math.inf))
    if smallest.drop <= max_drop:
        return smallest
    best = attempt(program.fewest_bytes(program.least_increase))
    if best.drop > max_drop:
        raise GoalError(
            f"With every layer in the scheme that costs it least, the metric still drops by {best.drop:.4g} "
            f"(goal {max_drop:g}). Train the quantized model (`best.model`), or allow a wider scheme.",
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


def weight_bytes(layer: LayerSensitivity, scheme: str) -> int:
    """Return the bytes of the weights of a layer in a file, in the fewest bits that LiteRT reads them in."""
    bits = scheme_of(scheme).weight_bits or 8
    in_file = next(each for each in (2, 4, 8) if each >= max(bits, _FEWEST_BITS.get(layer.kind, 4)))
    return -(-layer.weights * in_file // 8)


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


class _Program:
    """The choice of one scheme a layer as an integer program."""

    def __init__(self, table: Sensitivity) -> None:
        self._layers = table.layers
        self._names = table.settings
        shape = (len(self._layers), len(self._names))
        increases = [[layer.increases[name] for name in self._names] for layer in self._layers]
        # That a coarser layer does better is chance, on so few samples.
        self._increases = np.maximum(np.reshape(increases, shape), 0.0)
        self._bytes = np.reshape(
            [[weight_bytes(layer, name) for name in self._names] for layer in self._layers], shape
        ).astype(float)

    @property
    def least_increase(self) -> float:
        """The summed increase with each layer in the scheme that costs it least."""
        return float(self._increases.min(axis=1).sum())

    @property
    def least_bytes(self) -> float:
        """The bytes with each layer in the scheme that needs fewest."""
        return float(self._bytes.min(axis=1).sum())

    def least_loss(self, max_bytes: float) -> list[str]:
        """Return a scheme a layer with the least summed increase, in no more bytes."""
        return self._solved(self._increases, self._bytes, max_bytes)

    def fewest_bytes(self, max_increase: float) -> list[str]:
        """Return a scheme a layer with the fewest bytes, of a summed increase of at most so much."""
        # The bound is a sum of floats that may itself be the least there is.
        bound = max_increase + 1e-9 * (1.0 + abs(max_increase))
        return self._solved(self._bytes, self._increases, bound)

    def _solved(self, costs: np.ndarray, limited: np.ndarray, limit: float) -> list[str]:
        one_each = np.kron(np.eye(len(self._layers)), np.ones(len(self._names)))
        constraints = [optimize.LinearConstraint(one_each, 1, 1)]
        if math.isfinite(limit):
            # The solver's tolerance is absolute.
            unit = limited.max() or 1.0
            constraints.append(optimize.LinearConstraint(limited.ravel()[None] / unit, -np.inf, limit / unit))
        found = optimize.milp(
            costs.ravel() / (costs.max() or 1.0),
            integrality=np.ones(costs.size),
            bounds=optimize.Bounds(0, 1),
            constraints=constraints,
        )
        return [self._names[index] for index in found.x.reshape(costs.shape).argmax(axis=1)]

    def choices(self, names: Sequence[str]) -> tuple[LayerChoice, ...]:
        return tuple(
            LayerChoice(
                path=layer.path,
                scheme=name,
                bytes=weight_bytes(layer, name),
                increase=layer.increases[name],
            )
            for layer, name in zip(self._layers, names, strict=True)
        )
