"""Where trials are compared, and in which bracket a trial is."""

from __future__ import annotations

import hashlib
import math

REDUCTION = 3
"""Of so many trials that are compared at a rung, one goes on; the next rung is so many times as far."""


def rungs(stage_epochs: int, run_epochs: int, reduction: int = REDUCTION) -> list[int]:
    """Return after how many epochs of its first training a run is compared with others, in order.

    Going down from the epochs of the whole run, each rung is a third (1 / `reduction`) of the one after it,
    the first at one epoch or more.
    Rungs beyond the first training are at its end: what comes after is for those that pass the last one.

    Args:
        stage_epochs: how many epochs the first training has, at least 1.
        run_epochs: how many all stages have together.
        reduction: see `REDUCTION`, at least 2.

    Example:
        >>> rungs(20, 65)
        [2, 7, 20]
    """
    found, whole = set(), float(max(run_epochs, stage_epochs))
    while (whole := whole / reduction) >= 1:
        epochs = min(math.floor(whole + 0.5), stage_epochs)
        if epochs < max(run_epochs, stage_epochs):
            found.add(epochs)
    return sorted(found)


def bracket(run: str, count: int, reduction: int = REDUCTION) -> int:
    """Return how many of the first rungs a run passes without being compared, as Hyperband has it.

    Successive halving stops a trial that begins slowly. Hyperband (Li et al., 2018) hedges: brackets begin at
    later rungs, each with fewer trials, so that all cost about the same. Trials of one bracket are compared
    with each other. The bracket follows from the run, so that it stays when a search is resumed.

    Args:
        run: its name.
        count: the number of rungs.
        reduction: see `REDUCTION`.
    """
    # In Hyperband's words, s is count - skipped, and n = ceil((s_max + 1) / (s + 1) * eta ** s).
    shares = [math.ceil((count + 1) / (s + 1) * reduction**s) for s in range(count, -1, -1)]
    place = int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big") % sum(shares)
    for skipped, share in enumerate(shares):
        if place < share:
            return skipped
        place -= share
    raise AssertionError("the shares add up")
