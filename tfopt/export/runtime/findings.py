"""What a metric of a whole output hides: dead channels, cut-off ranges, classes that are never chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FEW = 8
"""With fewer samples, nothing is said of what varies."""
VARIES = 1e-3
"""A channel varies if its values differ by more than this share of their largest magnitude."""
COARSE = 2.0
"""A channel whose range spans fewer LSB is too small for the grid."""
CUT_OFF = 0.01
"""So large a share of values beyond the range is reported, and ten times as much of an output fails."""

SPLIT = (
    "give the part an output of its own, and so a scale of its own, leave the layer that joins it in float "
    "with rules={layer: None}, or take int16x8"
)
CUT_OFF_KIND = "cut off"
"""The kind of a finding about values beyond the range of the integers."""
CALIBRATE = "calibrate on data like this, or with another observer"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong with a part of a tensor.

    Attributes:
        tensor: the name of the input or output.
        reason: what is wrong with it.
        way_out: what to do.
        channels: which of the last axis; empty for all.
        fails: whether the file fails for it.
        kind: what sort of finding it is, for programs; `""` for most.
    """

    tensor: str
    reason: str
    way_out: str
    channels: tuple[int, ...] = ()
    fails: bool = True
    kind: str = ""

    def __str__(self) -> str:
        where = (
            f"channels {_listed(self.channels)} of {self.tensor!r}" if self.channels else f"{self.tensor!r}"
        )
        return f"{where}: {self.reason}; {self.way_out}"


def of_output(
    name: str,
    expected: np.ndarray,
    actual: np.ndarray,
    step: float | None,
    limits: tuple[float, float] | None,
    *,
    own: bool,
    classification: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with parts of an output.

    Args:
        name: of the output.
        expected, actual: the model's and the file's real numbers, samples first.
        step: the scale of the file's output; `None` for floats.
        limits: the least and the largest number on it; `None` for floats.
        own: whether the model is the quantization-aware one, whose values are on that grid too.
        classification: whether the output chooses a class.
    """
    if not np.all(np.isfinite(expected)) or not np.all(np.isfinite(actual)):
        return  # that is the largest error already
    yield from _constant(name, _columns(expected), _columns(actual), step, own=own)
    if classification and expected.ndim > 1 and expected.shape[-1] > 1:
        yield from _never_chosen(name, _columns(expected), _columns(actual), step)
    if limits is not None and step is not None and not own:
        outside = (expected > limits[1] + step) | (expected < limits[0] - step)
        yield from _cut_off(name, outside, fails=10 * CUT_OFF)


def of_input(name: str, values: np.ndarray, step: float, limits: tuple[float, float]) -> Iterator[Finding]:
    """Yield whether an input's range cuts off values, and which columns its grid does not tell apart.

    Args:
        name: of the input.
        values: real numbers, samples first.
        step: its scale.
        limits: the least and the largest number on it.
    """
    yield from _cut_off(name, (values > limits[1] + step) | (values < limits[0] - step), fails=2.0)
    columns = _columns(values)
    if len(columns) < FEW:
        return
    span = np.ptp(columns, axis=0)
    hidden = (span > VARIES * np.max(np.abs(columns), axis=0)) & (span < COARSE * step)
    if np.any(hidden):  # how much the model makes of them, its outputs say
        yield Finding(
            tensor=name,
            reason=(
                f"varies by up to {np.max(span[hidden]):.3g} and reaches the file in steps of {step:.3g}, "
                "so that it hardly or never changes there"
            ),
            way_out=(
                "give columns of other sizes an input of their own, scale them alike before the model, or "
                "leave what reads them, such as a Normalization, in float with rules={layer: None}"
            ),
            channels=tuple(np.flatnonzero(hidden).tolist()),
            fails=False,
        )


def _columns(values: np.ndarray) -> np.ndarray:
    """Return all that a channel holds as a column; without channels, one column."""
    return values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)


def _constant(
    name: str, expected: np.ndarray, actual: np.ndarray, step: float | None, *, own: bool
) -> Iterator[Finding]:
    if len(expected) < FEW:
        return
    span, held = np.ptp(expected, axis=0), np.ptp(actual, axis=0)
    varies = span > VARIES * np.max(np.abs(expected), axis=0)
    if own and step is not None:  # a step more or less is rounding
        varies &= span > (COARSE + 1) * step
    dead = varies & (held == 0)
    if step is not None and not own:
        noise = np.mean((actual - expected) ** 2, axis=0)
        dead |= varies & (span < COARSE * step) & (np.var(expected, axis=0) < noise)
    # Of shares between 0 and 1, what is below the smallest step is as good as none.
    shares = step is not None and bool(np.all((expected >= 0) & (expected <= 1)))
    small = dead & (span < COARSE * step) if shares and step is not None else np.zeros_like(dead)
    for channels, fails in ((dead & ~small, True), (small, False)):
        if np.any(channels):
            worst = float(np.max(span[channels]))
            grid = "" if step is None else f" in steps of {step:.3g}"
            yield Finding(
                tensor=name,
                reason=f"varies by {worst:.3g} in the model and hardly or not at all in the file{grid}",
                way_out=SPLIT,
                channels=tuple(np.flatnonzero(channels).tolist()),
                fails=fails,
            )


def _never_chosen(
    name: str, expected: np.ndarray, actual: np.ndarray, step: float | None
) -> Iterator[Finding]:
    chosen, found = np.argmax(expected, axis=-1), np.argmax(actual, axis=-1)
    lost = sorted(set(chosen.tolist()) - set(found.tolist()))
    if not lost:
        return
    rows = np.arange(len(expected))
    # Where a model is nearly undecided, rounding alone turns its choice.
    decided = expected[rows, chosen] - expected[rows, found] > COARSE * (step or 0.0)
    least = max(3, 0.005 * len(expected))
    for fails in (True, False):
        classes = [each for each in lost if (np.sum(decided & (chosen == each)) >= least) == fails]
        if classes:
            count = int(np.sum(np.isin(chosen, classes)))
            yield Finding(
                tensor=name,
                reason=f"the model chooses these classes for {count} of {len(chosen)}, the file never",
                way_out=f"{CALIBRATE}, train quantization-aware, or take int16x8",
                channels=tuple(classes),
                fails=fails,
            )


def _cut_off(name: str, outside: np.ndarray, fails: float) -> Iterator[Finding]:
    share = float(np.mean(outside))
    if share > CUT_OFF:
        yield Finding(
            tensor=name,
            reason=f"{share:.1%} of its values are beyond the range of its integers and are clipped",
            way_out=CALIBRATE,
            fails=share > fails,
            kind=CUT_OFF_KIND,
        )


def _listed(channels: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, channels[:8]))
    return shown if len(channels) <= 8 else f"{shown}, ... ({len(channels)} in all)"
