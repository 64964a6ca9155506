"""The widths that a group of units may have."""

from __future__ import annotations

import math

import numpy as np

from tfopt import _validation

LEAST = 0.1
"""The share of its units that a group keeps at least: one that is cut further stops what flows through it."""


def allowed_widths(units: int, round_to: int | None = 8) -> np.ndarray:
    """Return the widths that a group of `units` units may have, rising; the last is `units`.

    Kernels of runtimes compute channels in tiles of 8 or 16, so that a width in between costs as much as
    the next multiple, or more. A group of fewer than two multiples is rounded to half of them, and so on.

    Args:
        units: how many there are, 1 or more.
        round_to: the multiple; 1 or None for any width.
    """
    step = 1 if round_to is None else round_to
    while step > 1 and units < 2 * step:
        step //= 2
    least = max(1, math.ceil(units * LEAST / step)) * step
    return np.append(np.arange(least, units, step), units)


def nearest_width(units: int, wanted: float, round_to: int | None = 8) -> int:
    """Return the allowed width that is nearest to `wanted`, the larger one of two."""
    allowed = allowed_widths(units, round_to)[::-1]
    return int(allowed[np.argmin(np.abs(allowed - wanted))])


def checked_multiple(round_to: int | None) -> int:
    """Return the multiple that widths are rounded to, 1 for None.

    Raises:
        InvalidArgumentError: it is no whole number of 1 or more.
    """
    return 1 if round_to is None else _validation.whole("prune_channels", "round_to", round_to, at_least=1)
