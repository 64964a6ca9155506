"""What is asked of channel pruning, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tfopt import _validation
from tfopt.channels.importance import CRITERIA
from tfopt.channels.selection import SCOPES, Scope
from tfopt.channels.widths import checked_multiple
from tfopt.errors import InvalidArgumentError


@dataclass(frozen=True, kw_only=True)
class ChannelSettings:
    """The arguments of `tfopt.prune_channels` that are no model and no data; see there.

    Raises:
        InvalidArgumentError: an argument is out of its range, or there is no goal.
    """

    ratio: float | None = None
    importance: str = "l2"
    normalization: Literal["mean", "max", "none"] = "mean"
    scope: Scope = "global"
    rules: Mapping[str, float | None] | None = None
    round_to: int | None = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ratio is None and not any(isinstance(share, float) for share in (self.rules or {}).values()):
            raise InvalidArgumentError(
                "prune_channels: there is no goal: give ratio=, the share of channels to remove, such as 0.5."
            )
        if self.ratio is not None:
            _validation.number("prune_channels", "ratio", self.ratio, above=0, below=1)
        _validation.choice("prune_channels", "importance", self.importance, CRITERIA)
        _validation.choice("prune_channels", "normalization", self.normalization, ("mean", "max", "none"))
        _validation.choice("prune_channels", "scope", self.scope, SCOPES)
        _validation.whole("prune_channels", "seed", self.seed, at_least=0)
        checked_multiple(self.round_to)
