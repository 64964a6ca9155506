"""What earlier stages made of kernels, zeros and clusters, kept through quantization-aware training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import keras

from tfopt import _validation
from tfopt.clustering import kept
from tfopt.clustering.channels import channel_axes
from tfopt.clustering.constraint import KeptClusters
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import Kernel, kernels, prunable
from tfopt.pruning import SparsityMask
from tfopt.pruning.mask import constraint_of, mask_of
from tfopt.pruning.masks import Masked, attach, constrain


def checked(caller: str, preserve: str | Iterable[str]) -> tuple[str, ...]:
    """Return what is to be preserved as a tuple; `caller` is the function that the user called.

    Raises:
        InvalidArgumentError: something else than `"sparsity"` and `"clusters"`.
    """
    names = (preserve,) if isinstance(preserve, str) else tuple(preserve or ())
    return tuple(_validation.choice(caller, "preserve", name, _KEEP) for name in names)


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
                "that was pruned or clustered, or leave it out."
            )


def keep_masks(model: keras.Model, paths: Mapping[str, str], held: Iterable[Masked]) -> None:
    """Mask the zeros of a canonical model that were masked in the model which it was made of.

    Kernels of layers that were decomposed are split, transposed and put in another order on the way; a masked
    weight is zero before and after, so that the zeros themselves say where masks belong.

    Args:
        model: canonical; changed in place.
        paths: name in it -> path in the model that it was made of.
        held: what was masked there.
    """
    plans = {entry.kernel.path.split("/")[0]: entry.mask.plan for entry in held}
    for kernel in prunable(model) if plans else ():
        name = kernel.path.split("/")[0]
        origin = paths.get(name, name).split("/")[0]
        if origin not in plans:
            continue
        alive = kernel.variable.numpy() != 0
        mask = mask_of(kernel.variable)
        if mask is not None and mask.value.shape == alive.shape and not alive[~mask.value].any():
            continue
        inner = mask.constraint if mask is not None else constraint_of(kernel.variable)
        masks = alive.any() and not alive.all()
        constrain(kernel, SparsityMask(alive, inner, plans[origin]) if masks else inner)


def _keep_zeros(kernel: Kernel) -> bool:
    """Mask the zeros of a kernel; a mask that it has already is enough."""
    if mask_of(kernel.variable) is not None:
        return True
    alive = kernel.variable.numpy() != 0
    if alive.all() or not alive.any():  # a kernel of zeros only was initialized so, and is to learn
        return False
    attach(kernel, alive=alive)
    return True


def _keep_clusters(kernel: Kernel) -> bool:
    return kept.keep(kernel, channel_axes(kernel))


def keep_clusters(model: keras.Model, paths: Mapping[str, str], held: Mapping[str, KeptClusters]) -> None:
    """Fix the clusters of a canonical model that were kept in the model which it was made of.

    As with masks, the values of kernels that were split and transposed say where the clusters are.

    Args:
        model: canonical; changed in place.
        paths: name in it -> path in the model that it was made of.
        held: path there -> its clusters.
    """
    origins: dict[str, KeptClusters] = {}
    for path, clusters in held.items():
        before = origins.setdefault(path.split("/")[0], clusters)
        if clusters.clusters > before.clusters:
            origins[path.split("/")[0]] = clusters
    for kernel in kernels(model) if origins else ():
        name = kernel.path.split("/")[0]
        like = origins.get(paths.get(name, name).split("/")[0])
        if like is not None and (kernel.multiplied or kernel.constraint_attribute == "embeddings_constraint"):
            kept.keep(kernel, channel_axes(kernel), like)


_KEEP: dict[str, tuple[Callable[[Kernel], bool], str]] = {
    "sparsity": (_keep_zeros, "zeros"),
    "clusters": (_keep_clusters, "clusters (few distinct values, each of which stands often)"),
}
"""What to preserve -> the function that does so, returning whether the kernel has it; what it is."""
