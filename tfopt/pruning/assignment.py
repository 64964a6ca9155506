"""Which kernels of a model are pruned, and how far each: decided before anything is changed."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from typing import Any

import keras
import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import KINDS, Kernel, kernels
from tfopt.pruning.distribution import by_sensitivity, erk, levels
from tfopt.pruning.mask import mask_of
from tfopt.pruning.on_data import OnData
from tfopt.pruning.patterns import layout_of, pattern_of
from tfopt.pruning.plan import Plan
from tfopt.pruning.request import Request
from tfopt.pruning.selection import select_masks
from tfopt.rules import resolve

logger = logging.getLogger(__name__)

_DEFAULT: Any = object()

Assigned = list[tuple[Kernel, Plan]]


def assign(model: keras.Model, request: Request, on_data: OnData | None = None) -> Assigned:
    """Return each kernel to prune with its plan, in the model's order.

    Args:
        model: built.
        request: what is asked for.
        on_data: what a distribution by sensitivity is measured with.

    Raises:
        InvalidArgumentError: there is no kernel, a rule is of no use, or the pattern fits no kernel.
    """
    found = kernels(model)
    if not found:
        raise InvalidArgumentError(
            f"The model {model.name!r} has no kernel to prune; layers with kernels are {KINDS}."
        )
    paths = dict.fromkeys(kernel.path for kernel in found)
    settings: dict[str, Any] = resolve(request.rules, paths, _DEFAULT)
    by_default: Assigned = []
    assigned: dict[int, tuple[Kernel, Plan]] = {}
    too_small = []
    for place, kernel in enumerate(found):
        setting = settings[kernel.path]
        if setting is None or (setting is _DEFAULT and not kernel.by_default):
            reason = "a rule says so" if setting is None else f"{kernel.reason}, and no rule names it"
            logger.debug("%s is left whole: %s", kernel.path, reason)
            continue
        plan = request.plan if setting is _DEFAULT else request.plan_of_rule(kernel.path, setting)
        inputs, needed = layout_of(kernel).sizes[2], pattern_of(plan.pattern).least_inputs()
        if inputs < needed:
            too_small.append(kernel.path)
            logger.debug(
                "%s is left whole: %s needs %d inputs, it has %d", kernel.path, plan.pattern, needed, inputs
            )
            continue
        assigned[place] = (kernel, plan)
        if setting is _DEFAULT:
            by_default.append((kernel, plan))
    if too_small and not assigned:
        raise InvalidArgumentError(
            f"The pattern {request.plan.pattern!r} prunes nothing in the model {model.name!r}: the kernels "
            f"of {', '.join(map(repr, too_small[:3]))} have too few inputs for it. Take another pattern."
        )
    shared = dict(
        zip((id(kernel) for kernel, _ in by_default), _distributed(by_default, request, on_data), strict=True)
    )
    plans = [(kernel, shared.get(id(kernel), plan)) for kernel, plan in assigned.values()]
    for kernel, plan in plans:
        by = "by default" if id(kernel) in shared else "by a rule"
        logger.debug("%s gets a mask: sparsity %g %s, scope %s", kernel.path, plan.sparsity, by, plan.scope)
    logger.info("%s: %d of %d kernels get a mask", model.name, len(plans), len(found))
    if not plans and request.plan.sparsity and not request.rules:
        named = ", ".join(f"{kernel.path!r} ({kernel.reason})" for kernel in found[:3])
        warnings.warn(
            f"Nothing is pruned: the model {model.name!r} has no kernel that is pruned without a rule, only "
            f"{named}. To prune these, name them: rules={{{found[0].path!r}: {request.plan.sparsity}}}.",
            stacklevel=5,
        )
    return plans


def _distributed(assigned: Assigned, request: Request, on_data: OnData | None) -> list[Plan]:
    """Return the plans of kernels that share a sparsity, each with its own."""
    sparsity = request.plan.sparsity
    if request.chosen_distribution == "erk":
        shares = erk([tuple(kernel.variable.shape) for kernel, _ in assigned], sparsity)
    elif request.chosen_distribution == "sensitivity":
        assert on_data is not None, "a distribution by sensitivity is measured"
        tried = levels(sparsity)
        sizes = [int(np.prod(kernel.variable.shape)) for kernel, _ in assigned]
        shares = by_sensitivity(sizes, _increases(assigned, tried, on_data), tried, sparsity)
    else:
        return [plan for _, plan in assigned]
    return [
        dataclasses.replace(plan, sparsity=share) for (_, plan), share in zip(assigned, shares, strict=True)
    ]


def _increases(assigned: Assigned, tried: tuple[float, ...], on_data: OnData) -> list[list[float]]:
    """Return the increase of the loss with one kernel at a time pruned by magnitude, a list a kernel."""
    baseline = on_data.loss()
    increases = []
    for kernel, plan in assigned:
        weights, mask = kernel.variable.numpy(), mask_of(kernel.variable)
        alive = np.ones(weights.shape, bool) if mask is None else mask.value
        found = []
        try:
            for sparsity in tried:
                (pruned,) = select_masks(
                    [np.abs(weights, dtype=np.float32)],
                    [alive],
                    sparsity,
                    layouts=[layout_of(kernel)],
                    pattern=pattern_of(plan.pattern),
                )
                kernel.variable.assign(np.where(pruned, weights, np.zeros_like(weights)))
                found.append(on_data.loss() - baseline)
        finally:
            kernel.variable.assign(weights)
        logger.debug("%s: the loss rises by %s at %s zeros", kernel.path, found, tried)
        increases.append(found)
    return increases
