"""What can be reached: the costs with all groups whole, at half and at their least width."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from tfopt.budgets import Budgets, formatted
from tfopt.errors import GoalError

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reach:
    """What one metric can be.

    Attributes:
        metric: its name.
        original: of the whole model.
        half: with half of the units of each group, as near as widths allow.
        least: with each group at its least width.
        limit: the budget in the metric's own unit, None without one.
        measured: whether `least` is that of a file that was written; otherwise it was predicted. `original`
            always is, and macs and params are exact.
    """

    metric: str
    original: float
    half: float
    least: float
    limit: float | None = None
    measured: bool = True

    @property
    def reachable(self) -> bool:
        """Whether the limit can be met."""
        return self.limit is None or self.least <= self.limit

    def __str__(self) -> str:
        about = "" if self.measured else "about "
        figures = [
            f"{what} {about}{formatted(self.metric, value)} ({value / (self.original or 1):.1%})"
            for what, value in (("least", self.least), ("half", self.half))
        ]
        limit = "" if self.limit is None else f"; the limit is {formatted(self.metric, self.limit)}"
        return f"{self.metric}: {', '.join(figures)}, original {formatted(self.metric, self.original)}{limit}"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self)


def require_reachable(reaches: Mapping[str, Reach], budgets: Budgets, whole: Mapping[str, str]) -> None:
    """Raise where a limit cannot be met, with what can be reached.

    Args:
        reaches: metric -> what it can be.
        budgets: the limits.
        whole: the layers that are left whole, path -> why; the message names some.

    Raises:
        GoalError: a limit cannot be met. Its `best` is `reaches`.
    """
    for reach in reaches.values():
        logger.info("what can be reached: %s", reach)
    missed = [reach for reach in reaches.values() if not reach.reachable]
    if not missed:
        return
    figures = "; ".join(str(reach) for reach in missed)
    some = "; ".join(f"{path}: {why.removesuffix('.')}" for path, why in [*whole.items()][:3])
    left = f" Layers that cannot become narrower: {len(whole)}, such as {some}." if whole else ""
    raise GoalError(
        f"Removing channels cannot meet the budget ({budgets.describe()}). What can be reached is {figures}. "
        f"Allow more, lower min_share, or give fewer rules that keep layers whole.{left}",
        best=dict(reaches),
    )
