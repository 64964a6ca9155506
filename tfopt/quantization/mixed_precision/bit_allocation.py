"""One scheme for each layer: the choice as an integer program."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import optimize

from tfopt.quantization.mixed_precision.sensitivity import LayerSensitivity, Sensitivity
from tfopt.quantization.operators.weights import fewest_bits
from tfopt.quantization.scheme import scheme_of


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


def weight_bytes(layer: LayerSensitivity, scheme: str) -> int:
    """Return the bytes of the weights of a layer in a file, in the fewest bits that LiteRT reads them in."""
    bits = scheme_of(scheme).weight_bits or 8
    in_file = next(each for each in (2, 4, 8) if each >= max(bits, fewest_bits(layer.kind).trained))
    return -(-layer.weights * in_file // 8)


class BitAllocation:
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
        """Return what it means to give each layer one of these schemes, in the order of the table."""
        return tuple(
            LayerChoice(
                path=layer.path,
                scheme=name,
                bytes=weight_bytes(layer, name),
                increase=layer.increases[name],
            )
            for layer, name in zip(self._layers, names, strict=True)
        )
