"""What earlier stages made of kernels, zeros and clusters, kept through quantization-aware training."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras
import numpy as np

from tfopt import arguments
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import Kernel, kernels
from tfopt.pruning import SparsityMask
from tfopt.quantization.clusters import KeptClusters, assignment_of, kept_clusters


def checked(preserve: str | Iterable[str]) -> tuple[str, ...]:
    """Return what is to be preserved as a tuple.

    Raises:
        InvalidArgumentError: something else than `"sparsity"` and `"clusters"`.
    """
    names = (preserve,) if isinstance(preserve, str) else tuple(preserve or ())
    return tuple(arguments.choice("quantize_aware", "preserve", name, _KEEP) for name in names)


def preserve_kernels(model: keras.Model, names: tuple[str, ...]) -> None:
    """Give the kernels of `model` constraints that keep the zeros and clusters that they have now.

    Raises:
        InvalidArgumentError: no kernel has any of what is to be preserved.
    """
    found = kernels(model)
    for name in names:
        constrain, what = _KEEP[name]
        kept = [constrain(kernel) for kernel in found]
        if not any(kept):
            raise InvalidArgumentError(
                f"The model {model.name!r} has no kernel with {what}: give preserve={name!r} for a model "
                "that was pruned or clustered, or leave it away."
            )


def _keep_zeros(kernel: Kernel) -> bool:
    """Mask the zeros of a kernel; a mask that it has already is enough."""
    if isinstance(kernel.variable.constraint, SparsityMask):
        return True
    alive = kernel.variable.numpy() != 0
    if alive.all() or not alive.any():  # a kernel of zeros only was initialized so, and is to learn
        return False
    _constrain(kernel, SparsityMask(alive, constraint=kernel.variable.constraint))
    return True


def _keep_clusters(kernel: Kernel) -> bool:
    """Fix the clusters of a kernel. Inside a mask, for that has the last word."""
    constraint = kernel.variable.constraint
    if kept_clusters(constraint) is not None:
        return True
    assignment = assignment_of(kernel.variable.numpy())
    if assignment is None:
        return False
    if isinstance(constraint, SparsityMask):
        alive = np.where(constraint.value, assignment, assignment.max() + 1)  # zeros are on their own
        numbers = np.unique(alive, return_inverse=True)[1].reshape(assignment.shape)
        constraint.constraint = KeptClusters(numbers, constraint=constraint.constraint)
    else:
        _constrain(kernel, KeptClusters(assignment, constraint=constraint))
    return True


def _constrain(kernel: Kernel, constraint: keras.constraints.Constraint) -> None:
    """Let both the variable, where optimizers look, and the layer, where configs come from, hold it."""
    kernel.variable.constraint = constraint
    setattr(kernel.layer, kernel.constraint_attribute, constraint)


_KEEP: dict[str, tuple[Callable[[Kernel], bool], str]] = {
    "sparsity": (_keep_zeros, "zeros"),
    "clusters": (_keep_clusters, "clusters (few distinct values, each of which stands often)"),
}
"""What to preserve -> the function that does so, returning whether the kernel has it; what it is."""
