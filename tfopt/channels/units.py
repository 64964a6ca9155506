"""Collecting which units go together, and which stay: a union-find on whole vectors of units."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfopt.channels.groups import FIXED


@dataclasses.dataclass(frozen=True, eq=False)
class Resolved:
    """What `Units` were united to.

    Attributes:
        component: of each unit that was made, the number of those that go together with it.
        reason: of each component, why it stays; None where it can go.
        exact: of each component, whether nothing else changes when it goes.
    """

    component: np.ndarray
    reason: tuple[str | None, ...]
    exact: np.ndarray


class Units:
    """Units in the making: each is a number, `FIXED` what stays."""

    def __init__(self) -> None:
        self._count = 0
        self._pairs: list[np.ndarray] = []
        self._fixed: list[tuple[np.ndarray, str]] = []
        self._inexact: list[np.ndarray] = []

    def fresh(self, count: int) -> np.ndarray:
        """Return new units."""
        self._count += count
        return np.arange(self._count - count, self._count)

    def fix(self, units: np.ndarray, reason: str) -> None:
        """Note that units stay, and why."""
        some = units[units != FIXED]
        if len(some):
            self._fixed.append((some, reason))

    def make_inexact(self, units: np.ndarray) -> None:
        """Note that removing units changes more than what they hold."""
        self._inexact.append(units[units != FIXED])

    def unite(self, one: np.ndarray, other: np.ndarray, reason: str) -> None:
        """Let units go together, position by position; with what stays, they stay for the `reason`."""
        both = (one != FIXED) & (other != FIXED)
        different = both & (one != other)
        if different.any():
            self._pairs.append(np.stack([one[different], other[different]]))
        self.fix(one[other == FIXED], reason)
        self.fix(other[one == FIXED], reason)

    def resolved(self) -> Resolved:
        """Return the components of what goes together."""
        pairs = np.concatenate([np.zeros((2, 0), int), *self._pairs], axis=1)
        graph = coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), (self._count, self._count))
        number, component = connected_components(graph, directed=False)
        reason: list[str | None] = [None] * number
        for units, why in self._fixed:
            for each in np.unique(component[units]):
                reason[each] = reason[each] or why
        exact = np.ones(number, bool)
        for units in self._inexact:
            exact[component[units]] = False
        return Resolved(component, tuple(reason), exact)
