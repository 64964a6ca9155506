"""What is asked of channel pruning, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tfopt import _validation
from tfopt.budgets import Budgets
from tfopt.channels.importance import CRITERIA
from tfopt.errors import InvalidArgumentError
from tfopt.export.untrained import check_scheme

Scope: TypeAlias = Literal["global", "local"]
Method: TypeAlias = Literal["global", "uniform", "sensitivity"]
Normalization: TypeAlias = Literal["mean", "max", "none"]

Limit: TypeAlias = float | str | None
"""Of a budget, as `tfopt.budgets.Budgets` takes it."""


@dataclass(frozen=True, kw_only=True)
class ChannelSettings:
    """The arguments of `tfopt.prune_channels` that are no model and no data; see there.

    Attributes:
        caller: the function or class that the user called, which errors name.

    Raises:
        InvalidArgumentError: an argument is out of its range, there is no goal, or there are two kinds of it.
    """

    ratio: float | None = None
    macs: Limit = None
    params: Limit = None
    bytes: Limit = None
    latency: Limit = None
    scheme: str = "float32"
    importance: str = "l2"
    normalization: Normalization = "mean"
    scope: Scope = "global"
    allocation: Method = "global"
    rules: Mapping[str, float | None] | None = None
    round_to: int | None = 8
    min_share: float = 0.1
    seed: int = 0
    caller: str = "prune_channels"

    def __post_init__(self) -> None:
        rules = _validation.mapping(self.caller, "rules", self.rules, "{'stem': None}")
        shares = [share for share in rules.values() if share is not None]
        if self.ratio is None and not self.budgets and not shares:
            raise InvalidArgumentError(
                f"{self.caller}: there is no goal: give ratio=, the share of channels to remove, as 0.5, or "
                "a budget: macs=, params=, bytes= or latency=, such as macs=0.5 for half of them."
            )
        if self.ratio is not None:
            _validation.number(self.caller, "ratio", self.ratio, above=0, below=1)
            if self.budgets:
                raise InvalidArgumentError(
                    f"{self.caller}: ratio={self.ratio} and a budget ({self.budgets.describe()}) are two "
                    "goals: give one of them."
                )
        if not self.budgets and self.allocation != "global":
            raise InvalidArgumentError(
                f"{self.caller}: allocation={self.allocation!r} is how a budget is met, and there is none: "
                'give one, such as macs=0.5, or for ratio= the scope: "global" or "local".'
            )
        _validation.choice(self.caller, "importance", self.importance, CRITERIA)
        _validation.choice(self.caller, "normalization", self.normalization, ("mean", "max", "none"))
        _validation.choice(self.caller, "scope", self.scope, ("global", "local"))
        _validation.choice(self.caller, "allocation", self.allocation, ("global", "uniform", "sensitivity"))
        _validation.whole(self.caller, "seed", self.seed, at_least=0)
        _validation.number(self.caller, "min_share", self.min_share, above=0, at_most=1)
        if self.round_to is not None:
            _validation.whole(self.caller, "round_to", self.round_to, at_least=1)
        check_scheme(self.scheme)

    @property
    def budgets(self) -> Budgets:
        """The limits."""
        return Budgets(macs=self.macs, params=self.params, bytes=self.bytes, latency=self.latency)

    @property
    def multiple(self) -> int:
        """What widths are rounded to; 1 for any."""
        return self.round_to or 1
