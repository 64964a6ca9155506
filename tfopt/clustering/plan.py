"""Which kernels of a model are clustered, and into how many clusters: decided before anything is changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfopt import _validation
from tfopt.clustering.channels import channel_axes
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import KINDS, Kernel, kernels
from tfopt.pruning.mask import mask_of
from tfopt.rules import resolve

logger = logging.getLogger(__name__)

_DEFAULT: Any = object()


@dataclass(frozen=True, eq=False, kw_only=True)
class KernelPlan:
    """How one kernel is clustered.

    Attributes:
        kernel: the kernel.
        clusters: how many at most; None where the budget is to say.
        axes: those that number the channels with centroids of their own; empty where all share them.
        alive: False where a weight is zero and stays so; None without such weights.
    """

    kernel: Kernel
    clusters: int | None
    axes: tuple[int, ...] = ()
    alive: np.ndarray | None = None


def planned(
    model: keras.Model,
    clusters: int | None,
    *,
    granularity: str,
    rules: Mapping[str, int | None] | None,
    keep_zeros: bool,
) -> list[KernelPlan]:
    """Return how the kernels of a model are to be clustered, in the model's order.

    Args:
        model: built.
        clusters: of kernels that no rule names; None where a budget is to say.
        granularity: `"tensor"` or `"channel"`.
        rules: layer path pattern -> clusters, or None for a layer that is left as it is.
        keep_zeros: whether zeros stay zero where a kernel has no mask too.

    Raises:
        InvalidArgumentError: a number is out of range, a rule matches nothing, or there is no kernel.
    """
    found = kernels(model)
    settings: dict[str, Any] = resolve(rules, dict.fromkeys(kernel.path for kernel in found), _DEFAULT)
    plans = []
    for kernel in found:
        setting = settings[kernel.path]
        if setting is None or (setting is _DEFAULT and not kernel.by_default):
            reason = "a rule says so" if setting is None else f"{kernel.reason}, and no rule names it"
        else:
            count = clusters if setting is _DEFAULT else setting
            if count is not None:
                _validation.whole(f"cluster: {kernel.path!r}", "clusters", count, at_least=2)
            plan = _plan(kernel, count, granularity, keep_zeros)
            if isinstance(plan, KernelPlan):
                plans.append(plan)
                continue
            reason = plan
        logger.info("%s is not clustered: %s", kernel.path, reason)
    if not plans:
        named = ", ".join(f"{k.path!r} ({k.reason or 'left out or too small'})" for k in found[:3]) or "none"
        raise InvalidArgumentError(
            f"The model {model.name!r} has no kernel to cluster; its kernels are {named}. Layers with "
            f"kernels are {KINDS}. Name what is left out by default in a rule, such as "
            "rules={'depthwise*': 16}, or ask for fewer clusters."
        )
    return plans


def _plan(kernel: Kernel, clusters: int | None, granularity: str, keep_zeros: bool) -> KernelPlan | str:
    """Return the plan of a kernel, or why it has none."""
    weights, mask = kernel.variable.numpy(), mask_of(kernel.variable)
    alive = None if mask is None else mask.value
    if mask is None and keep_zeros and not weights.all():
        alive = weights != 0
    axes = channel_axes(kernel) if granularity == "channel" else ()
    if not weights.any():
        return "all of its weights are zero"
    channels = int(np.prod([weights.shape[axis] for axis in axes]))
    if weights.size // channels <= (clusters or 2):
        each = f"a channel has {weights.size // channels}" if axes else f"it has {weights.size}"
        return f"{each} weights, no more than there would be clusters"
    if alive is not None and not alive.all() and clusters == 2:
        raise InvalidArgumentError(
            f"cluster: {kernel.path!r} has zeros, which are a cluster of their own, so that 2 clusters leave "
            "one value to all other weights. Give it 3 or more clusters, or keep_zeros=False where it is not "
            "pruned."
        )
    return KernelPlan(kernel=kernel, clusters=clusters, axes=axes, alive=alive)
