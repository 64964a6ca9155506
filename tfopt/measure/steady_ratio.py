"""How long a file takes next to another one, measured anew until the figure is steady.

`latency` runs two files by turns, and its medians leave out what interrupts single turns. Two things remain
alike in all turns, and move a figure by some percent: where in memory an interpreter happens to lie, and
which of the two files runs first. So each round makes interpreters anew, and measures both orders.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfopt.measure.latency import Latency, latency

_TURNS, _WARMUP = 10, 1
_ROUNDS, _LONG_ROUNDS = (8, 40), (4, 12)
"""The fewest and the most rounds; in each, both files are measured in both orders. The second where they
take long: the spread of few rounds is often too small by chance, but one of a large file takes seconds."""
_LONG = 20.0
"""Seconds after which a measurement takes long."""
_PRECISION = 0.005
"""The standard error, as a share of the figure, at which it is steady."""
_ERROR_OF_MEDIAN = math.sqrt(math.pi / 2)
"""The standard error of a median of normally distributed values, as a multiple of that of their mean."""
_DEVIATION = 1.4826
"""The standard deviation of such values, as a multiple of their median absolute deviation."""

Measure = Callable[[Mapping[str, bytes]], Mapping[str, Latency]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SteadyRatio:
    """The time of a file as a ratio to that of another.

    Attributes:
        ratio: below 1 is faster: the median over the rounds, of each the geometric mean of both orders.
        seconds: of CPU time for one call of the file: the median over the rounds.
        error: the standard error of the ratio, as a share of it.
        rounds: how many there were.
    """

    ratio: float
    seconds: float
    error: float
    rounds: int


def steady_ratio(original: bytes, file: bytes, *, measure: Measure | None = None) -> SteadyRatio:
    """Return the time of a file as a ratio to that of an original.

    Both are measured in rounds, in 8 at least, until the standard error is at most 0.5 % or there were 40 of
    them; in 4 to 12 where that takes more than 20 seconds.

    Args:
        original, file: contents of TFLite files.
        measure: of both by name, the first is the baseline; by default `latency`.

    Raises:
        InvalidArgumentError: LiteRT cannot run one of them.
    """
    run = measure or _by_turns
    ratios: list[float] = []
    seconds: list[float] = []
    error = math.inf
    start = time.monotonic()
    while _unsteady(len(ratios), error, time.monotonic() - start):
        one = run({"original": original, "file": file})["file"]
        turned = run({"file": file, "original": original})
        ratios.append(math.sqrt(one.ratio / turned["original"].ratio))
        seconds += [one.median_seconds, turned["file"].median_seconds]
        error = _error(ratios)
    return SteadyRatio(
        ratio=float(np.median(ratios)), seconds=float(np.median(seconds)), error=error, rounds=len(ratios)
    )


def _unsteady(rounds: int, error: float, taken: float) -> bool:
    """Return whether one more round is measured after so many, in so many seconds."""
    fewest, most = _ROUNDS if taken < _LONG else _LONG_ROUNDS
    return rounds < fewest or (rounds < most and error > _PRECISION)


def _by_turns(files: Mapping[str, bytes]) -> Mapping[str, Latency]:
    return latency(files, turns=_TURNS, warmup=_WARMUP)


def _error(values: Sequence[float]) -> float:
    """Return the standard error of the median of values, as a share of it."""
    middle = float(np.median(values))
    deviation = _DEVIATION * float(np.median(np.abs(np.array(values) - middle)))
    return _ERROR_OF_MEDIAN * deviation / math.sqrt(len(values)) / middle
