"""The masks of a model: put on, raised, applied, read."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.measure.kernels import Kernel, kernels
from tfopt.pruning.magnitude import magnitude_masks
from tfopt.pruning.mask import SparsityMask
from tfopt.pruning.plan import Plan


@dataclasses.dataclass(frozen=True, eq=False)
class Masked:
    """A kernel and its mask."""

    kernel: Kernel
    mask: SparsityMask

    @property
    def weights(self) -> np.ndarray:
        """The kernel's values."""
        return self.kernel.variable.numpy()

    def zero(self) -> None:
        """Make the weights zero where the mask says so."""
        weights = self.weights
        self.kernel.variable.assign(np.where(self.mask.value, weights, np.zeros_like(weights)))


def masked(model: keras.Model) -> list[Masked]:
    """Return the kernels of `model` that have a mask, in the order in which they run."""
    return [
        Masked(kernel, kernel.variable.constraint)
        for kernel in kernels(model)
        if isinstance(kernel.variable.constraint, SparsityMask)
    ]


def apply_masks(model: keras.Model) -> None:
    """Make every masked weight zero again.

    For weights that were changed by something else than an optimizer step: `use_ema=True` overwrites
    them with averages when `fit` ends, `load_weights` and `set_weights` with anything.
    """
    for entry in masked(model):
        entry.zero()
    for layer in bridges(model):
        layer.apply_masks()


def bridges(model: keras.Model) -> list[Any]:
    """Return the layers that run a model of another engine, which keeps masks of its own."""
    return [layer for _, layer in graph.layers(model) if getattr(layer, "tfopt_bridge", False)]


def attach(kernel: Kernel, plan: Plan) -> Masked:
    """Give a kernel a mask with what `plan` leaves to do while training; keep the zeros of one it has.

    The variable's own constraint goes on working, inside the mask. Both the variable, where optimizers
    look, and the layer, where configs come from, hold the mask.
    """
    mask = kernel.variable.constraint
    if not isinstance(mask, SparsityMask):
        mask = SparsityMask(np.ones(tuple(kernel.variable.shape), bool), constraint=mask)
        kernel.variable.constraint = mask
        setattr(kernel.layer, kernel.constraint_attribute, mask)
    mask.plan = plan if plan.schedule is not None else None
    return Masked(kernel, mask)


def raise_sparsity(entries: Iterable[tuple[Masked, Plan]], sparsities: Iterable[float]) -> None:
    """Set the masks by the magnitudes of the live weights, and the weights by the masks.

    Args:
        entries: masked kernels with their plans. Those whose plans are equal and global share one
            threshold.
        sparsities: the share of zeros of each entry. Zeros that are there stay, also above it.
    """
    groups: dict[Hashable, tuple[float, list[Masked]]] = {}
    for (entry, plan), sparsity in zip(entries, sparsities, strict=True):
        key = plan if plan.scope == "global" else id(entry)
        groups.setdefault(key, (sparsity, []))[1].append(entry)
    for sparsity, group in groups.values():
        weights, masks = [entry.weights for entry in group], [entry.mask.value for entry in group]
        for entry, mask in zip(group, magnitude_masks(weights, masks, sparsity), strict=True):
            entry.mask.value = mask
            entry.zero()
