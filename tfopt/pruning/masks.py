"""The masks of a model: put on, applied, read, kept beside files."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import Kernel, prunable
from tfopt.measure.kernels import kernels as kernels_of_model
from tfopt.pruning.mask import SharedConstraint, SparsityMask, constraint_of, mask_of
from tfopt.pruning.plan import Plan

logger = logging.getLogger(__name__)


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
    found = []
    for kernel in prunable(model):
        mask = mask_of(kernel.variable)
        if mask is not None:
            if kernel.variable.constraint is not mask:  # comes from a file: one for all of an attention layer
                constrain(kernel, mask)
            found.append(Masked(kernel, mask))
    return found


def constrain(kernel: Kernel, constraint: Callable | None) -> None:
    """Give a constraint to a variable, where optimizers look, and to its layer, where configs come from."""
    kernel.variable.constraint = constraint
    if kernel.constraint_attribute is not None:
        setattr(kernel.layer, kernel.constraint_attribute, constraint)
    if kernel.group is not None:
        attribute = graph.shared_constraint(kernel.group)
        assert attribute is not None
        before = getattr(kernel.group, attribute)
        shared = isinstance(before, SharedConstraint)
        entries = {**(before.entries if shared else {}), kernel.layer.name: constraint}
        setattr(kernel.group, attribute, SharedConstraint(entries, before.rest if shared else before))


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
    return [layer for _, layer in graph.tree(model) if getattr(layer, "tfopt_bridge", False)]


def attach(kernel: Kernel, plan: Plan | None = None, alive: np.ndarray | None = None) -> Masked:
    """Give a kernel a mask with what `plan` leaves to do while training; keep the zeros of one it has.

    The variable's own constraint still works, inside the mask.

    Args:
        kernel: what to mask.
        plan: what is left to do; None for nothing.
        alive: the mask of a kernel that has none, True where a weight lives; None for everywhere.

    Raises:
        InvalidArgumentError: the kernel is clustered.
    """
    mask = mask_of(kernel.variable)
    if mask is None:
        if alive is None and _keeps_clusters(constraint_of(kernel.variable)):
            raise InvalidArgumentError(
                f"The kernel of {kernel.path!r} is clustered, and zeros in the midst of its clusters would "
                "take part in their means: prune the model first, then cluster it, which keeps the zeros."
            )
        alive = np.ones(tuple(kernel.variable.shape), bool) if alive is None else alive
        mask = SparsityMask(alive, constraint=constraint_of(kernel.variable))
        constrain(kernel, mask)
    mask.plan = plan if plan is not None and plan.schedule is not None else None
    return Masked(kernel, mask)


def carry_masks(source: keras.Model, copied: keras.Model) -> None:
    """Give the kernels of a copy the masks of the source's: configs of layers of one's own leave them out."""
    for old, new in zip(prunable(source), prunable(copied), strict=True):
        mask = mask_of(old.variable)
        if mask is not None:
            constrain(new, SparsityMask(mask.value, mask.constraint, mask.plan))


def unsaved_masks(model: keras.Model) -> list[Any]:
    """Return the masks and clusters that a `.keras` file of `model` does not hold, as JSON for `put_masks`.

    Kernels are told by their place in the model: layers that a layer of one's own makes without a name are
    called otherwise in each process.
    """
    masked(model)  # gives those of attention layers that come from a file each its own
    constraints = [(kernel, constraint_of(kernel.variable)) for kernel in prunable(model)]
    return [
        [place, keras.saving.serialize_keras_object(constraint)]
        for place, (kernel, constraint) in enumerate(constraints)
        if not kernel.saved and (isinstance(constraint, SparsityMask) or _keeps_clusters(constraint))
    ]


def put_masks(model: keras.Model, masks: Iterable[Any]) -> None:
    """Give a model that was loaded the masks that `unsaved_masks` returned."""
    kernels = prunable(model)
    for place, mask in masks:
        constrain(kernels[place], keras.saving.deserialize_keras_object(mask))


def keep_zeros(model: keras.Model, kernels: Iterable[str] | None = None) -> list[str]:
    """Let the zeros that the kernels of `model` have now stay zero in training; return the paths of these.

    For a pruned model that comes from a file. Layers of Keras have their masks in the file; a layer of your
    own has none, for its config has no place for them: its zeros would be trained away without a word.
    Pipelines do this by themselves.

    A kernel that has a mask keeps it. One without zeros, or of zeros alone, is left as it is.

    Args:
        model: what to mask; changed in place. Compile it afterwards.
        kernels: the paths of those to look at, as `tfopt.measure.layer_table` has them; None for all that
            `tfopt.prune` prunes unasked.

    Example:
        ```python
        model = keras.models.load_model("pruned.keras")
        tfopt.pruning.keep_zeros(model)
        model.compile("adam", "mse")
        ```
    """
    if kernels is None:
        found = [kernel for kernel in kernels_of_model(model) if kernel.multiplied]
    else:
        paths = set(kernels)
        found = [kernel for kernel in prunable(model) if kernel.path in paths]
    kept = {entry.kernel.path: None for entry in masked(model)}
    for kernel in found:
        alive = kernel.variable.numpy() != 0
        if mask_of(kernel.variable) is None and alive.any() and not alive.all():
            attach(kernel, alive=alive)
            kept[kernel.path] = None
            logger.debug("%s keeps its %d zeros", kernel.path, alive.size - np.count_nonzero(alive))
    return list(kept)


def _keeps_clusters(constraint: Any) -> bool:
    """Return whether a constraint is of `tfopt.clustering`, which stands above this package."""
    return getattr(constraint, "keeps_clusters", False)
