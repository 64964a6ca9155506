"""How many weights are zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import keras
import numpy as np

from tfopt.graph import require_built
from tfopt.measure.kernels import Kernel, kernels


@dataclasses.dataclass(frozen=True)
class KernelSparsity:
    """The zeros of one kernel.

    Attributes:
        layer: the path of its layer; of kernels of recurrent layers, and of those that layers of the user's
            own made, with the name of the variable.
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
    """Return the zeros of every weight that the model multiplies by, in the model's order.

    Kernels in attention and recurrent layers, nested models and layers of the user's own are among them, and
    depthwise ones, though these are pruned by rule only; biases, normalization, embeddings and what is only
    added are not: see `tfopt.pruning.left_out`.

    Args:
        model: any built model, functional or not.
    """
    require_built(model)
    return table_of([kernel for kernel in kernels(model) if kernel.multiplied])


def table_of(kernels: Iterable[Kernel]) -> list[KernelSparsity]:
    """Return the zeros of each of these kernels."""
    return [
        KernelSparsity(kernel.path, int(np.prod(kernel.variable.shape)), _zeros(kernel.variable))
        for kernel in kernels
    ]


def sparsity(model: keras.Model) -> float:
    """Return the share of weights that are exactly zero among the kernels of `layer_table`, in [0, 1].

    A model without such kernels has sparsity 0.
    """
    return share_of_zeros(layer_table(model))


def share_of_zeros(table: Iterable[KernelSparsity]) -> float:
    """Return the share of zeros over all kernels of a table together, in [0, 1]; 0 of an empty one."""
    table = list(table)
    return sum(kernel.zeros for kernel in table) / max(1, sum(kernel.weights for kernel in table))


def _zeros(variable: keras.Variable) -> int:
    weights = variable.numpy()
    return int(weights.size - np.count_nonzero(weights))
