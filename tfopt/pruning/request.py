"""What `tfopt.prune` is asked for, checked, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.pruning.criteria import FromGradients, criterion_of
from tfopt.pruning.distribution import distribution_of
from tfopt.pruning.patterns import pattern_of
from tfopt.pruning.plan import Plan, sparsity_of
from tfopt.pruning.schedules import Cubic, Schedule, check_sparsity

_KEYS = ("sparsity", "pattern")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `tfopt.prune` but for model, data and engine.

    Raises:
        InvalidArgumentError: one is out of range, or two do not go together.
    """

    sparsity: float | None = None
    schedule: Schedule | None = None
    pattern: str | None = None
    criterion: str = "magnitude"
    distribution: str | None = None
    scope: str = "layer"
    rules: Mapping[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        schedule = self.schedule
        if schedule is not None and not isinstance(schedule, Schedule):
            raise InvalidArgumentError(
                "schedule must be a tfopt.pruning.Cubic, ConstantSparsity, OneShot or RigL, or None for at "
                f"once; got {schedule!r}."
            )
        plan = self.plan
        if isinstance(schedule, Cubic) and schedule.initial_sparsity > plan.sparsity:
            raise InvalidArgumentError(
                f"The schedule starts at sparsity {schedule.initial_sparsity}, above the final "
                f"{plan.sparsity}: lower initial_sparsity, for zeros stay zero."
            )
        if schedule is None and not self._criterion_goes_at_once:
            raise InvalidArgumentError(
                f"The criterion {self.criterion!r} is measured while training: give a schedule, such as "
                "tfopt.pruning.Cubic()."
            )
        if self.chosen_distribution != "uniform" and pattern_of(self.pattern).sparsity is not None:
            raise InvalidArgumentError(
                f"The pattern {self.pattern!r} has the same sparsity in each kernel, so that there is "
                'nothing to distribute: leave scope="layer" and distribution="uniform".'
            )
        if isinstance(self.rules, Mapping):
            for path, setting in self.rules.items():
                if setting is not None:
                    self.plan_of_rule(path, setting)

    @property
    def chosen_distribution(self) -> str:
        """`"uniform"`, `"global"`, `"erk"` or `"sensitivity"`."""
        return distribution_of(self.distribution, self.scope)

    @property
    def plan(self) -> Plan:
        """The plan of a kernel that no rule names."""
        scope = "global" if self.chosen_distribution == "global" else "layer"
        return self._plan(sparsity_of(self.sparsity, self.pattern), self.pattern, scope)

    def plan_of_rule(self, path: str, setting: Any) -> Plan:
        """Return the plan of a kernel that a rule gives a sparsity, or `{"sparsity": ..., "pattern": ...}`.

        Raises:
            InvalidArgumentError: the rule's setting is something else.
        """
        pattern, sparsity = self.pattern, setting
        if isinstance(setting, Mapping):
            unknown = [key for key in setting if key not in _KEYS]
            if unknown or not setting:
                raise InvalidArgumentError(
                    f"The rule for {path!r} may hold {' and '.join(map(repr, _KEYS))}, got {dict(setting)!r}."
                )
            pattern = setting.get("pattern", self.pattern)
            # A pattern of its own does not take the sparsity of another one.
            same = pattern_of(pattern).sparsity == pattern_of(self.pattern).sparsity
            sparsity = setting.get("sparsity", self.sparsity if same else None)
        if sparsity is not None:
            check_sparsity(sparsity, f"The sparsity that the rules give to {path!r}")
        try:
            return self._plan(sparsity_of(sparsity, pattern), pattern, "layer")
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"The rule for {path!r}: {error}") from error

    @property
    def reason_for_data(self) -> str | None:
        """What is measured on data before training; None where nothing is."""
        if self.chosen_distribution == "sensitivity":
            return 'distribution="sensitivity"'
        # Of any sparsity: rules may ask for zeros where the rest is left whole.
        at_once = self.schedule is None or self.schedule.initial(0.5) > 0
        if at_once and isinstance(criterion_of(self.criterion), FromGradients):
            return f"The criterion {self.criterion!r}"
        return None

    @property
    def _criterion_goes_at_once(self) -> bool:
        criterion = criterion_of(self.criterion)
        return criterion.on_data or not isinstance(criterion, FromGradients)

    def _plan(self, sparsity: float, pattern: str | None, scope: str) -> Plan:
        _validation.whole("prune", "seed", self.seed, at_least=0)
        name = pattern_of(pattern).name
        return Plan(sparsity, self.schedule, scope, name, criterion_of(self.criterion).name, self.seed)
