"""Budgets: what a model may cost at most, with one meaning for pruning, ranks, bits and searches.

A budget is a metric and a limit: `macs=0.5`, `bytes="100k"`, `latency="1.5ms"`. A number up to 1 is a share
of what the original model costs, any other is absolute. Bytes and latency are those of the exported file, in
the scheme that it will be written in.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

METRICS: Mapping[str, str] = {
    "macs": "multiply-accumulates of one inference, as `tfopt.measure.macs` counts them",
    "params": "weights, as `model.count_params()` counts them",
    "bytes": "of the exported file, not compressed",
    "latency": "of one call of the exported file on one thread of this machine",
    "compressed_bytes": "of the exported file after gzip",
    "epochs": "that a run trains, all stages together",
    "training_macs": "multiply-accumulates of a run's training, three times those of a sample for each",
}
"""What a budget can limit -> what it counts."""

_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12}
_BYTES = {"": 1.0, "b": 1.0} | {
    f"{letter}{end}": base**power
    for power, letter in enumerate("kmg", 1)
    for end, base in (("", 1000.0), ("b", 1000.0), ("i", 1024.0), ("ib", 1024.0))
}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_UNITS = {
    "macs": _COUNTS,
    "params": _COUNTS,
    "bytes": _BYTES,
    "latency": _SECONDS,
    "compressed_bytes": _BYTES,
    "epochs": _COUNTS,
    "training_macs": _COUNTS,
}
"""Metric -> unit of its limits, in lower case -> what a number is multiplied by. Latency is in seconds."""

_EXAMPLES = {
    "macs": '0.5 (half of the original), 5_000_000 or "5M"',
    "params": '0.5 (half of the original), 20_000 or "20k"',
    "bytes": '0.5 (half of the original), 100_000 or "100k"',
    "latency": '0.5 (half of the original) or "1.5ms"',
    "compressed_bytes": '0.5 (half of the original), 100_000 or "100k"',
    "epochs": "0.5 (half of the original) or 20",
    "training_macs": '0.5 (half of the original), 5_000_000_000 or "5G"',
}

_TEXT = re.compile(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-zµμ%]*)\s*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Limit:
    """The most that one metric may be.

    Attributes:
        value: a share of the original in (0, 1] where `relative`, else in the metric's own unit: seconds of
            latency, otherwise how many.
        relative: whether `value` is a share.
    """

    value: float
    relative: bool

    def of(self, original: float) -> float:
        """Return the limit in the metric's own unit, where the original model has `original`."""
        return self.value * original if self.relative else self.value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budgets:
    """What a model may cost at most.

    Args:
        macs: multiply-accumulates of one inference, as `tfopt.measure.macs` counts them. A number in (0, 1]
            is a share of the original's, a larger one is how many; as text, `"5M"` or `"50%"`.
        params: weights, as `model.count_params()` counts them; likewise.
        bytes: of the exported file in the scheme that it will be written in, not compressed. Likewise;
            `"100k"` are 100,000, `"100KiB"` 102,400.
        latency: of one call of the exported file on one thread of this machine: a number in (0, 1], a share
            of the latency of the original's file in the same scheme, or a time such as `"1.5ms"`.
        compressed_bytes: of the file after gzip at its strongest; as `bytes`. Of searches alone, as are:
        epochs: that a run trains, all of its stages together; as `macs`.
        training_macs: multiply-accumulates of a run's training, three for each of a forward pass; as `macs`.

    Raises:
        InvalidArgumentError: a limit that is no such number or text.

    Example:
        >>> Budgets(macs=0.5, bytes="100k").describe()
        'macs at most 50 % of the original, bytes at most 100,000'
    """

    macs: Limit | float | str | None = None
    params: Limit | float | str | None = None
    bytes: Limit | float | str | None = None
    latency: Limit | float | str | None = None
    compressed_bytes: Limit | float | str | None = None
    epochs: Limit | float | str | None = None
    training_macs: Limit | float | str | None = None

    def __post_init__(self) -> None:
        for name in METRICS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _limit(name, value))

    @classmethod
    def from_mapping(cls, limits: Mapping[str, Any]) -> Budgets:
        """Return the budgets of a mapping, metric -> limit; `None` is no limit.

        Raises:
            InvalidArgumentError: it names another metric, or a limit is none.
        """
        limits = _validation.mapping("Budgets", "limits", limits, '{"macs": 0.5, "bytes": "100k"}')
        for name in limits:
            if name not in METRICS:
                close = get_close_matches(name.lower(), METRICS, n=1, cutoff=0.5)
                meant = f" Did you mean {close[0]!r}?" if close else ""
                raise InvalidArgumentError(
                    f"There is no budget {name!r}; expected one of {', '.join(METRICS)}.{meant}"
                )
        return cls(**limits)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Budgets:
        """Return the budgets of texts such as `"bytes=100k"`, as a command line takes them.

        Raises:
            InvalidArgumentError: a text is not of the form `name=limit`, or names a metric twice.
        """
        limits: dict[str, str] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            name = name.strip()
            if not equals:
                raise InvalidArgumentError(f"Expected a budget such as bytes=100k, got {text!r}.")
            if name in limits:
                raise InvalidArgumentError(f"The budget {name!r} is given twice: give one limit for it.")
            limits[name] = value
        return cls.from_mapping(limits)

    @property
    def limits(self) -> dict[str, Limit]:
        """Metric -> limit, of those that have one."""
        return {name: limit for name in METRICS if isinstance(limit := getattr(self, name), Limit)}

    def __bool__(self) -> bool:
        """Return whether there is any limit."""
        return bool(self.limits)

    def of(self, original: Mapping[str, float]) -> dict[str, float]:
        """Return metric -> limit in the metric's own unit.

        Args:
            original: what the original model costs, seconds of latency; of each metric with a limit.
        """
        return {name: limit.of(original[name]) for name, limit in self.limits.items()}

    def to_dict(self) -> dict[str, float | str]:
        """Return metric -> limit as JSON values, which `from_mapping` takes."""
        return {
            name: _as_time(limit.value) if name == "latency" and not limit.relative else limit.value
            for name, limit in self.limits.items()
        }

    def describe(self) -> str:
        """Return the limits in words."""
        return (
            ", ".join(f"{name} at most {_in_words(name, limit)}" for name, limit in self.limits.items())
            or "no budget"
        )


def formatted(name: str, value: float) -> str:
    """Return the value of a metric as people read it: `"1.25 ms"`, `"102,400"`."""
    return f"{value * 1e3:.4g} ms" if name == "latency" else f"{value:,.0f}"


def _as_time(seconds: float) -> str:
    """Return a time as text that is read as exactly that number: in milliseconds where one is."""
    text = f"{seconds * 1e3:.12g}"
    return f"{text}ms" if float(text) * _SECONDS["ms"] == seconds else f"{seconds!r}s"


def _in_words(name: str, limit: Limit) -> str:
    if limit.relative:
        return f"{limit.value * 100:g} % of the original"
    return formatted(name, limit.value)


def _limit(name: str, value: Any) -> Limit:
    if isinstance(value, Limit):
        value = value.value if value.relative or name != "latency" else f"{value.value!r}s"
    number, unit = _parts(name, value)
    if unit == "%":
        number, unit = number / 100, ""
        if number > 1:
            raise InvalidArgumentError(
                f"The budget {name}={value!r} is more than the original model costs: expected "
                f"{_EXAMPLES[name]}."
            )
    elif unit:
        return Limit(number * _UNITS[name][unit], False)
    if number <= 1:
        return Limit(number, True)
    if name == "latency":
        raise InvalidArgumentError(
            f"The budget latency={value!r} is above 1 and has no unit: expected {_EXAMPLES[name]}."
        )
    return Limit(number, False)


def _parts(name: str, value: Any) -> tuple[float, str]:
    """Return a finite number above 0, and its unit in lower case, `""` without one."""
    expected = f"The budget {name}={value!r}: expected {_EXAMPLES[name]}"
    if isinstance(value, str):
        match = _TEXT.fullmatch(value)
        unit = match[2].lower().replace("μ", "µ") if match else ""
        if match is None or (unit and unit not in {*_UNITS[name], "%"}):
            raise InvalidArgumentError(f"{expected}.")
        try:
            number = float(match[1])
        except ValueError:
            raise InvalidArgumentError(f"{expected}.") from None
    elif _validation.is_number(value):
        number, unit = float(value), ""
    else:
        raise InvalidArgumentError(f"{expected}.")
    if not math.isfinite(number) or number <= 0:
        raise InvalidArgumentError(f"{expected}; nothing costs {number:g} or less.")
    return number, unit
