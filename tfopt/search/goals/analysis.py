"""Which trials of a search are feasible, which is the best, and how good their front is."""

from __future__ import annotations

import dataclasses

from tfopt.budgets import Budgets
from tfopt.run.search_record import BaselineRecord, GoalRecord, ReferenceRecord, SearchRecord, TrialRecord
from tfopt.search.goals.front import knee, non_dominated
from tfopt.search.goals.goal import Goal
from tfopt.search.goals.hypervolume import hypervolume, references


def described(goal: Goal) -> GoalRecord:
    """Return a goal as `search.json` has it."""
    return GoalRecord(
        metric=goal.metric,
        direction=goal.direction,
        keep=dict(goal.keep),
        objectives=dict(goal.directions),
        max=goal.limits.to_dict() or None,
    )


def goal_of(record: SearchRecord) -> Goal:
    """Return the goal of a search from its record, of a former version of tfopt too."""
    goal = record.goal or GoalRecord(metric="accuracy", direction="max")
    return Goal(
        directions=dict(goal.directions), keep=dict(goal.keep), limits=Budgets.from_mapping(goal.max or {})
    )


def weighed(record: SearchRecord, goal: Goal) -> SearchRecord:
    """Return a record that says which trials are feasible, which is the best and which none dominates."""
    if record.baseline is None and goal.constraints:  # which nothing can be compared with
        return dataclasses.replace(record, best=None, front=(), knee=None, hypervolume=None)
    baseline = record.baseline or BaselineRecord()
    trials = tuple(_judged(trial, goal, baseline) for trial in record.trials)
    record = dataclasses.replace(record, trials=trials)
    feasible = [trial for trial in trials if trial.is_complete and trial.feasible]
    best = min(feasible, key=lambda trial: _rank(trial, goal), default=None)
    costs = [goal.costs(trial.metrics) for trial in feasible]
    front = non_dominated(costs)
    bend = knee([costs[i] for i in front])
    reference = record.reference or _reference(record, goal)
    volume = None
    if reference is not None:
        volume = hypervolume([feasible[i].metrics for i in front], reference)
    return dataclasses.replace(
        record,
        best=None if best is None else best.number,
        front=tuple(feasible[i].number for i in front),
        knee=None if bend is None else feasible[front[bend]].number,
        reference=reference,
        hypervolume=volume,
    )


def _judged(trial: TrialRecord, goal: Goal, baseline: BaselineRecord) -> TrialRecord:
    if not trial.is_complete:
        return trial
    missed = {name: value for name, value in goal.violations(trial.metrics, baseline).items() if value > 0}
    return dataclasses.replace(trial, feasible=not missed, violations=missed or None)


def _rank(trial: TrialRecord, goal: Goal) -> tuple[float, ...]:
    """Return the order of feasible trials: by the first objective, the others, accuracy, and number."""
    return (*goal.costs(trial.metrics), -(trial.metrics.get("accuracy") or 0.0), trial.number)


def _reference(record: SearchRecord, goal: Goal) -> dict[str, ReferenceRecord] | None:
    """Return how the hypervolume measures each objective; `None` before the first trial is complete."""
    for trial in record.trials:
        if record.baseline and trial.number == record.baseline.trial and trial.is_complete:
            return references(trial.metrics, goal.directions)
    return None
