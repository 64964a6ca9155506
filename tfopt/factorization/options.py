"""The ranks that a layer can have, with what each costs and loses."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.factorization.candidates import Candidate
from tfopt.factorization.methods.base import Ranks

WIDE = 32
"""From this full rank on, ranks are multiples of `MULTIPLE`: kernels compute in vectors of channels."""
MULTIPLE = 8

EXTRA_LAYER_BYTES = 500
"""What one more layer takes in a file besides its weights, at most: measured by `benchmarks/low_rank.py`."""

_MOST_OPTIONS = 12


@dataclasses.dataclass(frozen=True)
class Option:
    """One choice for a layer.

    Attributes:
        ranks: of the factors; None for the layer as it is.
        error: the squared error of the kernel by its squared norm, in [0, 1].
        macs: of all calls of the factors.
        weights: of the factors' kernels.
        extra_layers: how many layers more there are.
    """

    ranks: Ranks | None
    error: float
    macs: int
    weights: int
    extra_layers: int = 0

    @property
    def loss(self) -> float:
        """The negative logarithm of the energy that is kept.

        Summed over the layers it is that of the product, as little of which passes a layer that keeps next to
        nothing (Zhang et al., 2016, arXiv 1505.06798, section 3.4).
        """
        return -math.log(max(1.0 - self.error, 1e-12))


class Options:
    """All ranks of one layer.

    Args:
        candidate: the layer.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.whole = Option(None, 0.0, candidate.macs, candidate.weights)
        """The layer as it is."""
        self._factorization = candidate.factorization
        self._grid = np.ix_(*(_allowed(full) for full in self._factorization.full))

    @cached_property
    def _errors(self) -> np.ndarray:
        return self._factorization.errors(*self._grid)

    @cached_property
    def _macs(self) -> np.ndarray:
        return sum(self._factorization.macs(call, *self._grid) for call in self.candidate.calls)

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.asarray(self._factorization.weights(*self._grid))

    @cached_property
    def _gains(self) -> np.ndarray:
        """Whether the file becomes smaller, even with one byte a weight, and has less to compute."""
        least_saved = EXTRA_LAYER_BYTES * self._factorization.extra_layers(*self._grid)
        smaller = self._weights + least_saved < self.whole.weights
        return smaller & (self._macs < self.whole.macs)

    @property
    def _shape(self) -> tuple[int, ...]:
        return self._errors.shape

    def of(self, ranks: Ranks) -> Option:
        """Return the option of some ranks."""
        macs = sum(int(self._factorization.macs(call, *ranks)) for call in self.candidate.calls)
        arrays = tuple(map(np.asarray, ranks))
        error = float(self._factorization.errors(*arrays))
        extra = int(self._factorization.extra_layers(*ranks))
        return Option(ranks, error, macs, int(self._factorization.weights(*ranks)), extra)

    def gains(self, option: Option) -> bool:
        """Return whether the file becomes smaller with an option, even with one byte a weight, and faster."""
        if option.ranks is None:
            return False
        least_saved = EXTRA_LAYER_BYTES * option.extra_layers
        return option.weights + least_saved < self.whole.weights and option.macs < self.whole.macs

    def keeping(self, energy: float) -> Option:
        """Return the option with the fewest multiply-accumulates that keeps this share of the energy."""
        kept = self._errors <= 1.0 - energy + 1e-12
        macs = np.where(kept, self._macs, np.iinfo(np.int64).max)
        return self._at(int(macs.argmin()))

    def share(self, ratio: float) -> Option:
        """Return the option whose ranks are this share of the full ones, rounded upwards."""
        return self.of(tuple(_rounded(full, ratio * full) for full in self._factorization.full))

    def fixed(self, ranks: int | Ranks) -> Option:
        """Return the option of given ranks; one number is that of all factors, at most the full one.

        Raises:
            InvalidArgumentError: they are not as many as the factorization has, or out of its range.
        """
        full = self._factorization.full
        if isinstance(ranks, int):
            return self.of(tuple(min(ranks, each) for each in full))
        if len(ranks) != len(full) or any(
            not 1 <= rank <= most for rank, most in zip(ranks, full, strict=False)
        ):
            wanted = f"one rank from 1 to {full[0]}" if len(full) == 1 else f"two ranks from 1 to {full}"
            raise InvalidArgumentError(
                f"low_rank: {self.candidate.path!r} is factorized by {self._factorization.method!r} and "
                f"takes {wanted}, got {ranks}."
            )
        return self.of(ranks)

    def frontier(self, most: int | None = None) -> list[Option]:
        """Return the layer as it is and the options that gain, none of which another beats in all ways.

        Args:
            most: how many that gain, at most, spread evenly.
        """
        gaining = np.flatnonzero(self._gains)
        costs = (
            self._macs.ravel()[gaining] / self.whole.macs
            + self._weights.ravel()[gaining] / self.whole.weights
        )
        order = np.lexsort((self._errors.ravel()[gaining], costs))
        best, kept = np.inf, []
        for number in gaining[order]:
            error = self._errors.flat[number]
            if error < best:
                best = error
                kept.append(int(number))
        chosen = np.unique(
            np.linspace(0, len(kept) - 1, min(most or _MOST_OPTIONS, len(kept))).round().astype(int)
        )
        return [self.whole, *(self._at(kept[number]) for number in chosen[::-1])]

    def _at(self, number: int) -> Option:
        place = np.unravel_index(number, self._shape)
        ranks = tuple(int(axis.ravel()[index]) for axis, index in zip(self._grid, place, strict=True))
        return self.of(ranks)


def _allowed(full: int) -> np.ndarray:
    """Return the ranks that are looked at: all up to the full one, or multiples where that is wide."""
    if full < WIDE:
        return np.arange(1, full + 1)
    return np.unique([*range(MULTIPLE, full, MULTIPLE), full])


def _rounded(full: int, rank: float) -> int:
    """Return the next of the ranks that are looked at."""
    allowed = _allowed(full)
    return int(allowed[min(int(np.searchsorted(allowed, rank - 1e-9)), len(allowed) - 1)])
