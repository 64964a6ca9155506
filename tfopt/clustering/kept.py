"""The clusters of a model: put on kernels, found again by their values, counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.clustering.channels import channel_axes
from tfopt.clustering.constraint import KeptClusters, assignment_of, kept_clusters
from tfopt.measure.kernels import Kernel, kernels, prunable
from tfopt.pruning.mask import SparsityMask, constraint_of, mask_of
from tfopt.pruning.masks import constrain
from tfopt.pruning.masks import masked as masked_kernels

logger = logging.getLogger(__name__)


def attach(
    kernel: Kernel, clusters: Callable[[Any], KeptClusters], alive: np.ndarray | None = None
) -> KeptClusters:
    """Give a kernel a constraint that keeps its clusters, in place of one that it has, and return it.

    A mask stays outside, for that has the last word. What else constrains the variable stays inside.

    Args:
        kernel: the kernel.
        clusters: the constraint that goes inside -> the clusters.
        alive: False where a weight is zero and is to stay so, of a kernel without a mask.
    """
    mask = mask_of(kernel.variable)
    inner = constraint_of(kernel.variable) if mask is None else mask.constraint
    kept = clusters(inner.constraint if isinstance(inner, KeptClusters) else inner)
    if mask is not None:
        mask.constraint = kept
        constrain(kernel, mask)
    elif alive is not None and not alive.all():
        constrain(kernel, SparsityMask(alive, kept))
    else:
        constrain(kernel, kept)
    return kept


def keep(kernel: Kernel, axes: Sequence[int] = (), like: KeptClusters | None = None) -> bool:
    """Fix the clusters that a kernel has by its values; return whether it has any.

    Args:
        kernel: the kernel.
        axes: those that number its output channels, where each may have clusters of its own.
        like: clusters that this kernel, or one that it is a part of, was known to have.
    """
    if kept_clusters(constraint_of(kernel.variable)) is not None:
        return True
    weights, mask = kernel.variable.numpy(), mask_of(kernel.variable)
    most = None if like is None else like.clusters + 1  # a mask may have made zeros of some
    numbers, per_channel = None, False
    if like is None or not like.per_channel:
        numbers = assignment_of(weights, most=most)
    if numbers is None and axes and (like is None or like.per_channel):
        numbers, per_channel = assignment_of(weights, axes, most), True
    if numbers is None:
        return False
    if mask is not None:
        # Zeros are on their own.
        apart = np.where(mask.value, numbers, numbers.max() + 1)
        numbers = np.unique(apart, return_inverse=True)[1].reshape(numbers.shape)
    frozen = None
    if like is not None and like.centroids is not None:
        order = np.unique(numbers, return_index=True)[1]
        frozen = weights.ravel()[order].tolist()
    attach(kernel, lambda inner: KeptClusters(numbers, inner, per_channel, frozen))
    return True


def release(model: keras.Model) -> dict[str, KeptClusters]:
    """Take the constraints that keep clusters from the kernels of `model`; return path -> clusters."""
    masked_kernels(model)  # gives those of attention layers that come from a file each its own
    found = {}
    for kernel in prunable(model):
        constraint = constraint_of(kernel.variable)
        kept = kept_clusters(constraint)
        if kept is None:
            continue
        found[kernel.path] = kept
        if isinstance(constraint, SparsityMask):
            constraint.constraint = kept.constraint
        else:
            constrain(kernel, kept.constraint)
    return found


def keep_clusters(model: keras.Model) -> list[str]:
    """Let kernels with few different weights keep them in training; return the paths of these.

    For a clustered model that comes from a file. Layers of Keras have their clusters in the file; a layer of
    your own has none, for its config has no place for them: each weight would be trained by itself.

    Clustered is a kernel of at most 256 different weights, each of which stands twice or more on average, in
    all or in each output channel. What has a constraint for its clusters keeps it.

    Args:
        model: any built model; changed in place. Compile it afterwards.

    Example:
        ```python
        model = keras.models.load_model("clustered.keras")
        tfopt.clustering.keep_clusters(model)
        model.compile("adam", "mse")
        ```
    """
    masked_kernels(model)  # gives those of attention layers that come from a file each its own
    found = [kernel for kernel in kernels(model) if kernel.multiplied or "embeddings" in kernel.variable.name]
    kept = [kernel.path for kernel in found if keep(kernel, channel_axes(kernel))]
    logger.debug("%s: %d kernels keep their clusters", model.name, len(kept))
    return kept


def different_weights(kernel: Kernel) -> int:
    """Return how many different weights a kernel has."""
    return len(np.unique(kernel.variable.numpy()))


def clustered_kernels(model: keras.Model) -> dict[str, KeptClusters]:
    """Return path -> clusters of the kernels whose constraints keep some."""
    found = {kernel.path: kept_clusters(constraint_of(kernel.variable)) for kernel in prunable(model)}
    return {path: kept for path, kept in found.items() if kept is not None}
