"""What ranks are to meet: a share of the full rank or of the energy, one rank, or budgets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from tfopt import _validation
from tfopt.budgets import Budgets
from tfopt.errors import InvalidArgumentError
from tfopt.factorization.options import Option, Options

Setting: TypeAlias = "float | int | tuple[int, ...] | None"
"""The value of a rule: a share of the energy, ranks, or None for a layer that is left alone."""

OWNER = "low_rank"
DEFAULT_ENERGY = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What the ranks of all layers without a rule are to meet; one of the fields.

    Attributes:
        ratio: the share of the full rank, in (0, 1].
        energy: the share of a kernel's squared norm that is kept, in (0, 1].
        rank: of each layer.
        budgets: what the whole model may cost.

    Raises:
        InvalidArgumentError: a value is out of its range, or there are several.
    """

    ratio: float | None = None
    energy: float | None = None
    rank: int | None = None
    budgets: Budgets = dataclasses.field(default_factory=Budgets)

    def __post_init__(self) -> None:
        for name in ("ratio", "energy"):
            if getattr(self, name) is not None:
                _validation.number(OWNER, name, getattr(self, name), above=0, at_most=1)
        if self.rank is not None:
            _validation.whole(OWNER, "rank", self.rank, at_least=1)
        given = [name for name in ("ratio", "energy", "rank") if getattr(self, name) is not None]
        given += [*self.budgets.limits] if self.budgets else []
        if len(given) > 1 and not set(given) <= set(self.budgets.limits):
            raise InvalidArgumentError(
                f"low_rank: expected one of ratio, energy, rank and budgets, got {' and '.join(given)}: "
                "leave the others out, or give single layers theirs by rules."
            )

    def option(self, options: Options) -> Option:
        """Return the option of a layer where there are no budgets."""
        if self.ratio is not None:
            return options.share(self.ratio)
        if self.rank is not None:
            return options.fixed(self.rank)
        return options.keeping(DEFAULT_ENERGY if self.energy is None else self.energy)


def by_rule(setting: Any, options: Options) -> Option:
    """Return the option that a rule gives a layer.

    Args:
        setting: as `tfopt.low_rank` takes the values of rules.
        options: of the layer.
    """
    if isinstance(setting, float):
        return options.keeping(setting)
    return options.fixed(setting if isinstance(setting, int) else tuple(setting))


def check_rules(rules: Mapping[str, Any] | None) -> None:
    """Raise where the value of a rule is none.

    Raises:
        InvalidArgumentError: it is neither None nor a share of energy nor ranks.
    """
    for pattern, value in (rules or {}).items() if isinstance(rules, Mapping) else ():
        ranks = value if isinstance(value, tuple | list) else (value,)
        if value is None or (isinstance(value, float) and 0 < value <= 1):
            continue
        if not ranks or not all(_validation.is_whole(rank) and rank >= 1 for rank in ranks):
            raise InvalidArgumentError(
                f"low_rank: expected the rule {pattern!r} to be None, a share of the energy in (0, 1] such "
                f"as 0.95, or ranks of 1 or more such as 16 or (16, 32), got {value!r}."
            )
