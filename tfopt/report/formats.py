"""Numbers as people read them. A value that was not measured is `MISSING`, never zero."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TypeGuard

MISSING = "-"
"""Shown where a value was not measured. ASCII, so that every terminal can print it."""


def is_number(value: object) -> TypeGuard[float]:
    """Return whether `value` is a finite number that was really measured."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in [0, 1] as a percentage: `0.975` -> `"97.50 %"`.

    Only a share of exactly one reads as 100 %, and only zero as 0 %: rounding must not claim perfection.
    """
    if not is_number(share):
        return MISSING
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    unit = 10.0**-digits
    value = round(100 * share, digits)
    if 0 < share < 1:
        value = min(max(value, unit), 100 - unit)
    return f"{value:.{digits}f} %"


def size(count: float | None) -> str:
    """Return a number of bytes with a decimal unit: `34120` -> `"34.1 kB"`."""
    if not is_number(count):
        return MISSING
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def count(number: float | None) -> str:
    """Return a count in three digits and a unit: `1234567` -> `"1.23 M"`."""
    if not is_number(number):
        return MISSING
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.0f}"


def ratio(value: float | None) -> str:
    """Return a ratio to a baseline: `0.434` -> `"0.43x"`."""
    return f"{value:.2f}x" if is_number(value) else MISSING


def metric(value: float | None, name: str) -> str:
    """Return the value of the metric called `name`: accuracies as percentages, others in four digits."""
    if not is_number(value):
        return MISSING
    return percent(value) if name.endswith("accuracy") else f"{value:.4g}"


def seconds(duration: float | None) -> str:
    """Return a duration: `92.3` -> `"1 min 32 s"`, `0.0021` -> `"2.1 ms"`."""
    if not is_number(duration):
        return MISSING
    if duration < 1e-3:
        return f"{1e6 * duration:.3g} µs"
    if duration < 1:
        return f"{1e3 * duration:.3g} ms"
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(iso: str | None) -> str:
    """Return an ISO 8601 moment as a date and a time: `"2026-11-22 05:14"`."""
    if not iso:
        return MISSING
    try:
        return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return iso


def class_names(names: Sequence[str], limit: int = 20) -> str:
    """Return names of classes for reading, not more than `limit` of them."""
    if list(names) == [str(number) for number in range(len(names))]:
        return f"0 to {len(names) - 1}"
    shown = ", ".join(f"{number} {name}" for number, name in enumerate(names[:limit]))
    return shown if len(names) <= limit else f"{shown}, ... ({len(names)} in all)"
