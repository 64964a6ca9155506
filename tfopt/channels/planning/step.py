"""One of several steps towards a goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfopt.budgets import Budgets
from tfopt.channels.planning.plan import ChannelPlan


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a step goes: what is kept falls by equal factors from step to step.

    Attributes:
        progress: the share of the way that is done after it, in (0, 1]; 1 in the last step.
        whole: group name -> units before the first step; those that it has now where it is not named.
        original: metric -> cost before the first step.
        now: metric -> cost before this one.
    """

    progress: float = 1.0
    whole: Mapping[str, int] = field(default_factory=dict)
    original: Mapping[str, float] = field(default_factory=dict)
    now: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def after(cls, plans: Sequence[ChannelPlan], progress: float) -> Step:
        """Return the step that comes after those of `plans`."""
        first, last = plans[0], plans[-1]
        return cls(
            progress=progress,
            whole={group.name: group.before for group in first.groups},
            original={name: before for name, (before, _) in first.costs.items()},
            now={name: after for name, (_, after) in last.costs.items()},
        )

    def share(self, share: float | None) -> float | None:
        """Return the share of the units that are to be gone after the step."""
        return None if share is None else 1 - (1 - share) ** self.progress

    def budgets(self, budgets: Budgets) -> Budgets:
        """Return the limits after the step, as shares of what the model costs now.

        Those that are met already are left out. A latency in seconds stays one.

        Args:
            budgets: the limits after the last step.
        """
        if not self.original:
            return budgets
        limits: dict[str, float | str] = {}
        for name, limit in budgets.limits.items():
            original, now = self.original[name], self.now[name]
            target = original * (limit.of(original) / original) ** self.progress
            if target < now:
                seconds = name == "latency" and not limit.relative
                limits[name] = f"{target!r}s" if seconds else target / now
        return Budgets.from_mapping(limits)
