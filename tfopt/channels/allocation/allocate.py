"""How many units each group keeps: budgets are checked, widths chosen, and files confirm them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from tfopt import _validation
from tfopt.budgets import Budgets
from tfopt.budgets.attempts import Attempt, Best, best_attempt
from tfopt.budgets.correction import Correction
from tfopt.channels.allocation.chosen import Allocation, GroupWidth
from tfopt.channels.allocation.losses import LossesOf, losses_by_scores
from tfopt.channels.allocation.methods import METHODS, Losses, solved
from tfopt.channels.allocation.problem import Problem
from tfopt.channels.allocation.widths import least_widths, options, step_of
from tfopt.channels.costs.files import CutFiles
from tfopt.channels.costs.metric import Corrected, Metric
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.groups import Dependencies
from tfopt.channels.reach import Reach, require_reachable
from tfopt.data.representative import Representative
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.export.untrained import UntrainedFiles, check_scheme

Method: TypeAlias = Literal["global", "uniform", "sensitivity"]

IN_FILES = ("bytes", "latency")
"""The metrics that only a file tells."""


def allocate(
    dependencies: Dependencies, scores: np.ndarray, budgets: Budgets | Mapping[str, Any], **arguments: Any
) -> np.ndarray:
    """Return whether each unit stays, of shape `(units,)`: the `keep` of `allocation`; it takes the same."""
    return allocation(dependencies, scores, budgets, **arguments).keep


def allocation(
    dependencies: Dependencies,
    scores: np.ndarray,
    budgets: Budgets | Mapping[str, Any],
    *,
    method: Method = "global",
    round_to: int = 8,
    min_share: float = 0.1,
    rules: Mapping[str, float | None] | None = None,
    scheme: str = "float32",
    samples: Representative | None = None,
    losses: LossesOf | None = None,
) -> Allocation:
    """Return which units stay so that a model meets all its budgets, the tightest with at most 5 % to spare.

    What can be reached is found first. Multiply-accumulates and weights are exact. For bytes and
    latency the chosen model is exported in the scheme, weights as they are, and measured; what was predicted
    is corrected by what the file says, and widths are chosen again until the file meets the budget.

    Args:
        dependencies: of the model.
        scores: the importance of each unit, of shape `(units,)`, comparable between groups; the lowest go
            first.
        budgets: one limit or more.
        method: `"global"`: the units with the lowest scores of the whole model go. `"uniform"`: the same
            share of each group. `"sensitivity"`: the widths that cost least loss, by an integer program.
        round_to: kernels compute so many channels at once: widths are multiples of it, or of its half and
            so on in groups of less than four times as many units. The last few units that fill a budget may
            be finer.
        min_share: of the units of each group, in (0, 1], stays at least.
        rules: pattern of layer paths -> the share of their channels that stays at least, None to keep all.
        scheme: in which the file will be written: one of `tfopt.to_tflite`, or `"ternary"` or `"binary"`.
        samples: representative data for the ranges of activations, None for random ones: the file's size
            and time hardly depend on them.
        losses: for `"sensitivity"`, what the widths of each group cost in loss, such as `LossesOnData`;
            None for the summed scores of what is removed.

    Raises:
        InvalidArgumentError: no budget, or an argument out of its range.
        UnsupportedModel: nothing in the model can be removed.
        GoalError: a budget cannot be met; the message says what can be reached.
    """
    budgets = budgets if isinstance(budgets, Budgets) else Budgets.from_mapping(budgets)
    scores = _checked(dependencies, scores, budgets, method, round_to, scheme)
    costs = ModelCosts(dependencies, scheme)
    if {*budgets.limits} - {"params"}:
        costs.require_sizes()
    least = least_widths(dependencies, min_share, rules)
    allowed = tuple(
        options(len(group.units), int(few), step_of(len(group.units), round_to))
        for group, few in zip(dependencies.groups, least, strict=True)
    )
    measured = _Measured(costs, budgets, scheme, samples)
    original = measured.original
    limits = budgets.of(original)
    predicted = {name: costs.metrics[name] for name in limits}
    whole = costs.sizes.at_widths(np.array([len(group.units) for group in dependencies.groups]))
    known = {name: float(metric.at(whole)) for name, metric in predicted.items()}
    metrics = {
        name: _as_measured(name, metric, known[name], original[name]) for name, metric in predicted.items()
    }
    problem = Problem(costs.sizes, metrics, limits, allowed, scores)
    reaches = _reaches(problem, measured, limits)
    require_reachable(reaches, budgets, dependencies.frozen)
    if all(original[name] <= limit for name, limit in limits.items()):
        best = Best(choice=np.ones(dependencies.count, bool), costs=original)
    else:
        tables = (losses or losses_by_scores)(problem) if method == "sensitivity" else []
        correction = Correction(limits, known, original)
        best = _met(dataclasses.replace(problem, metrics=predicted), correction, measured, tables, method)
    keep = best.choice
    return Allocation(
        budgets=budgets,
        method=method,
        scheme=scheme,
        keep=keep,
        widths=tuple(
            GroupWidth(name=group.name, units=len(group.units), kept=int(keep[group.units].sum()))
            for group in dependencies.groups
        ),
        reaches=reaches,
        costs=dict(best.costs),
        note=best.note,
    )


class _Measured:
    """The costs of a model as they are: counted, or of its file where a budget is on that."""

    def __init__(
        self, costs: ModelCosts, budgets: Budgets, scheme: str, samples: Representative | None
    ) -> None:
        self._costs = costs
        limits = budgets.limits
        self._files: CutFiles | None = None
        if any(name in limits for name in IN_FILES):
            found = costs.dependencies
            self._files = CutFiles(found, UntrainedFiles.for_budgets(found.model, scheme, samples, budgets))
        if self._files and "latency" in limits:
            costs.metrics["latency"] = self._files.latency(costs)
        everything = self._counted(np.ones(costs.dependencies.count, bool))
        self.original = everything | (self._files.original if self._files else {})

    def __call__(self, keep: np.ndarray) -> dict[str, float]:
        """Return metric -> cost."""
        return self._counted(keep) | (self._files.measured(keep) if self._files else {})

    def _counted(self, keep: np.ndarray) -> dict[str, float]:
        return {name: cost for name, cost in self._costs.evaluate(keep).items() if name not in IN_FILES}


def _reaches(problem: Problem, measured: _Measured, limits: Mapping[str, float]) -> dict[str, Reach]:
    """Return what can be reached, confirmed by a file where the prediction alone would refuse."""
    half = problem.nearest(problem.whole / 2)
    rows = np.stack([half, problem.least])
    sizes = problem.sizes.at_widths(rows)
    found = {}
    for name, metric in problem.metrics.items():
        at_half, at_least = map(float, metric.at(sizes))
        found[name] = Reach(
            metric=name,
            original=measured.original[name],
            half=at_half,
            least=at_least,
            limit=limits.get(name),
            measured=name not in IN_FILES,
        )
    if all(reach.reachable for reach in found.values()) or not any(name in IN_FILES for name in limits):
        return found
    real = measured(problem.keep(problem.least))
    return {
        name: dataclasses.replace(reach, least=real[name], measured=True) for name, reach in found.items()
    }


def _as_measured(name: str, metric: Metric, predicted: float, original: float) -> Metric:
    """Return a metric in the unit of what is measured, by the whole model alone."""
    # What a file holds besides weights stays as it is; time is taken for proportional.
    if name == "latency":
        return Corrected(metric, original / predicted)
    return Corrected(metric, 1.0, original - predicted)


def _met(
    problem: Problem, correction: Correction, measured: _Measured, losses: Losses, method: str
) -> Best[np.ndarray]:
    """Return which units stay, and what is left then costs as it is measured.

    Raises:
        GoalError: no attempt met all budgets.
    """

    def propose(aims: Mapping[str, float], near: float) -> Attempt[np.ndarray]:
        aimed = dataclasses.replace(problem, limits=aims)
        widths = solved(aimed, losses, method, near) if aimed.fits(aimed.least) else aimed.least
        keep = problem.keep(widths)
        sizes = problem.sizes.at_widths(widths)
        predicted = {name: float(metric.at(sizes)) for name, metric in problem.metrics.items()}
        return Attempt(choice=keep, key=keep.tobytes(), predicted=predicted)

    return best_attempt(correction, propose, measured, what="widths")


def _checked(
    dependencies: Dependencies, scores: Any, budgets: Budgets, method: str, round_to: int, scheme: str
) -> np.ndarray:
    """Return the scores if they and the other arguments are right."""
    _validation.choice("prune_channels", "method", method, METHODS)
    _validation.whole("prune_channels", "round_to", round_to, at_least=1)
    check_scheme(scheme)
    if not budgets:
        raise InvalidArgumentError(
            "prune_channels: expected a budget such as macs=0.5 or bytes='100k', got none."
        )
    if not dependencies.count:
        some = "; ".join(f"{path}: {why}" for path, why in [*dependencies.frozen.items()][:5])
        raise UnsupportedModel(
            f"The model {dependencies.model.name!r} has no channels that can be removed. {some}"
        )
    scores = np.asarray(scores, float)
    if scores.shape != (dependencies.count,) or not np.isfinite(scores).all():
        raise InvalidArgumentError(
            f"Expected one finite score for each of {dependencies.count} units, got an array of shape "
            f"{scores.shape}{'' if np.isfinite(scores).all() else ' with NaN or infinite values'}."
        )
    return scores
