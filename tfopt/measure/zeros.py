"""How many weights are zero."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from tfopt.measure.kernels import kernels


@dataclasses.dataclass(frozen=True)
class KernelSparsity:
    """The zeros of one kernel.

    Attributes:
        layer: the path of its layer.
        weights, zeros: how many it has.
    """

    layer: str
    weights: int
    zeros: int

    @property
    def sparsity(self) -> float:
        """The share of zeros, in [0, 1]."""
        return self.zeros / self.weights if self.weights else 0.0


def layer_table(model: keras.Model) -> list[KernelSparsity]:
    """Return the zeros of every kernel that is pruned unless a rule says otherwise, in the model's order.

    Biases, normalization and embeddings are not among them.
    """
    return [
        KernelSparsity(kernel.path, int(np.prod(kernel.variable.shape)), _zeros(kernel.variable))
        for kernel in kernels(model)
        if kernel.by_default
    ]


def sparsity(model: keras.Model) -> float:
    """Return the share of weights that are exactly zero among the kernels of `layer_table`, in [0, 1].

    A model without such kernels has sparsity 0.
    """
    table = layer_table(model)
    return sum(kernel.zeros for kernel in table) / max(1, sum(kernel.weights for kernel in table))


def _zeros(variable: keras.Variable) -> int:
    weights = variable.numpy()
    return int(weights.size - np.count_nonzero(weights))
