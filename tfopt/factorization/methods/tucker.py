"""Tucker-2: fewer input channels, fewer output channels, and a small convolution between."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, ClassVar

import keras
import numpy as np

from tfopt.factorization.methods.base import Call, Factor, Factorization, Ranks
from tfopt.factorization.methods.matrix import POINT
from tfopt.factorization.methods.svd import eigenvectors

_ROUNDS = 20
_TOLERANCE = 1e-6


class TuckerFactorization(Factorization):
    """A 1x1 convolution, the kernel's own size on fewer channels, and a 1x1 convolution.

    Ranks are those of the input and of the output channels. The decomposition is the higher-order SVD, whose
    errors for all ranks come of one core, refined for the ranks that are chosen by orthogonal iteration,
    which lowers the error. With all input or output channels the 1x1 convolution on that side is left out.

    Args:
        layer: a convolution of one group with a kernel of more than one tap.

    Reference:
        Kim et al., 2016, Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
        Applications (arXiv 1511.06530), section 3. De Lathauwer et al., 2000, On the Best Rank-1 and
        Rank-(R1, ..., RN) Approximation of Higher-Order Tensors (the iteration).
    """

    method: ClassVar[str] = "tucker"

    def __init__(self, layer: keras.Layer) -> None:
        super().__init__(layer)
        self._shape = tuple(map(int, layer.kernel.shape))
        self._kernel = layer.kernel.numpy().astype(np.float64).reshape(-1, *self._shape[-2:])
        self.full = self._shape[-2:]
        self._solved: dict[Ranks, tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        return _inputs(self._kernel), _outputs(self._kernel)

    @cached_property
    def _norm(self) -> float:
        return float((self._kernel**2).sum()) or 1.0

    @cached_property
    def _captured(self) -> np.ndarray:
        """The share of the energy that each pair of ranks, from (0, 0), keeps."""
        inputs, outputs = self._vectors
        energies = (_core(self._kernel, inputs, outputs) ** 2).sum(axis=0)
        return np.pad(energies.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0))) / self._norm

    def errors(self, *ranks: np.ndarray) -> np.ndarray:
        """Return the errors of the higher-order SVD, which those of `factors` do not exceed."""
        return np.maximum(1.0 - self._captured[ranks[0], ranks[1]], 0.0)

    def error(self, ranks: Ranks) -> float:
        """Return the error after refinement."""
        core = _core(self._kernel, *self._refined(ranks))
        return max(1.0 - float((core**2).sum()) / self._norm, 0.0)

    def weights(self, *ranks: Any) -> Any:
        """Return how many weights the two or three have."""
        reduced, core, expanded = self._parts(*ranks)
        return reduced + core + expanded

    def macs(self, call: Call, *ranks: Any) -> Any:
        """Return those of the two or three: the first reads every input, the others make outputs."""
        reduced, core, expanded = self._parts(*ranks)
        return reduced * math.prod(call.inputs) + (core + expanded) * math.prod(call.outputs)

    def _parts(self, inputs: Any, outputs: Any) -> tuple[Any, Any, Any]:
        """Return the weights of each part, none of one that is left out."""
        inputs, outputs = np.asarray(inputs), np.asarray(outputs)
        reduced = np.where(inputs < self.full[0], self.full[0] * inputs, 0)
        expanded = np.where(outputs < self.full[1], self.full[1] * outputs, 0)
        return reduced, len(self._kernel) * inputs * outputs, expanded

    def factors(self, ranks: Ranks) -> list[Factor]:
        """Return the convolutions."""
        inputs, outputs = self._refined(ranks)
        ones = (1,) * (len(self._shape) - 2)
        if whole_inputs := ranks[0] == self.full[0]:
            inputs = np.eye(ranks[0])
        if whole_outputs := ranks[1] == self.full[1]:
            outputs = np.eye(ranks[1])
        core = _core(self._kernel, inputs, outputs).reshape(*self._shape[:-2], *ranks)
        found = [Factor({"filters": ranks[1]}, core)]
        if not whole_inputs:
            found.insert(0, Factor({**POINT, "filters": ranks[0]}, inputs.reshape(*ones, *inputs.shape)))
        if not whole_outputs:
            found.append(Factor(dict(POINT), outputs.T.reshape(*ones, *outputs.T.shape)))
        return found

    def approximation(self, ranks: Ranks) -> np.ndarray:
        """Return the product of all."""
        inputs, outputs = self._refined(ranks)
        return (inputs @ _core(self._kernel, inputs, outputs) @ outputs.T).reshape(self._shape)

    def extra_layers(self, *ranks: Any) -> Any:
        """Return two, and one less for each side that keeps all channels."""
        return (np.asarray(ranks[0]) < self.full[0]) + 1 * (np.asarray(ranks[1]) < self.full[1])

    def _refined(self, ranks: Ranks) -> tuple[np.ndarray, np.ndarray]:
        """Return orthonormal columns for the input and the output channels."""
        if ranks not in self._solved:
            self._solved[ranks] = self._iterated(ranks)
        return self._solved[ranks]

    def _iterated(self, ranks: Ranks) -> tuple[np.ndarray, np.ndarray]:
        inputs, outputs = self._vectors[0][:, : ranks[0]], self._vectors[1][:, : ranks[1]]
        captured = float(self._captured[ranks])
        for _ in range(_ROUNDS):
            inputs = _inputs(self._kernel @ outputs)[:, : ranks[0]]
            outputs = _outputs(inputs.T @ self._kernel)[:, : ranks[1]]
            before, captured = captured, float((_core(self._kernel, inputs, outputs) ** 2).sum()) / self._norm
            if captured - before < _TOLERANCE:
                break
        return inputs, outputs


def _inputs(kernel: np.ndarray) -> np.ndarray:
    """Return the principal directions of the input channels of (taps, inputs, outputs)."""
    wide = kernel.transpose(1, 0, 2).reshape(kernel.shape[1], -1)
    return eigenvectors(wide @ wide.T)[1]


def _outputs(kernel: np.ndarray) -> np.ndarray:
    """Return the principal directions of the output channels of (taps, inputs, outputs)."""
    tall = kernel.reshape(-1, kernel.shape[2])
    return eigenvectors(tall.T @ tall)[1]


def _core(kernel: np.ndarray, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return a kernel of (taps, inputs, outputs) in the coordinates of orthonormal columns."""
    return inputs.T @ kernel @ outputs
