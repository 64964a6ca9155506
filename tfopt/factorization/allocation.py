"""One option for each layer, so that the model meets its budgets and loses least: an integer program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import optimize, sparse

from tfopt.factorization.options import Option

_SECONDS = 30.0


def allocated(
    options: Sequence[Sequence[Option]],
    losses: Sequence[Sequence[float]],
    costs: Mapping[str, Sequence[Sequence[float]]],
    limits: Mapping[str, float],
) -> list[Option] | None:
    """Return one option a layer with the least summed loss; None where none meet the limits.

    Args:
        options: of each layer.
        losses: of each option.
        costs: metric -> of each option, to be summed over the layers.
        limits: metric -> the most that the sum may be.
    """
    counts = [len(each) for each in options]
    layers = np.repeat(np.arange(len(counts)), counts)
    one_each = sparse.csr_array((np.ones(len(layers)), (layers, np.arange(len(layers)))))
    constraints = [optimize.LinearConstraint(one_each, 1, 1)]
    for name, limit in limits.items():
        cost = np.concatenate([np.asarray(each, float) for each in costs[name]])
        unit = np.abs(cost).max() or 1.0  # the solver's tolerance is absolute
        constraints.append(optimize.LinearConstraint(cost[None] / unit, -np.inf, limit / unit))
    loss = np.concatenate([np.asarray(each, float) for each in losses])
    found = optimize.milp(
        loss / (loss.max() or 1.0),
        integrality=np.ones(len(loss)),
        bounds=optimize.Bounds(0, 1),
        constraints=constraints,
        options={"time_limit": _SECONDS},
    )
    if found.x is None:
        return None
    starts = np.cumsum([0, *counts])
    return [
        each[int(found.x[start : start + len(each)].argmax())]
        for each, start in zip(options, starts, strict=False)
    ]
