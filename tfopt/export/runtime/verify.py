"""The proof that a file does what its model does: the outputs of both compared in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.export.runtime.findings import Finding, of_output

Number = TypeVar("Number", int, float)

MAX_SNR_DB = 200.0
"""Stands for "no difference", which has no logarithm; float32 itself reaches about 150 dB."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a file may be from its model. `None` sets no limit.

    Attributes:
        min_agreement: the least share of samples of the same class, in [0, 1].
        max_lsb: the largest difference of an output in LSB, which is its scale.
        min_snr_db: the least signal-to-noise ratio of an output, in decibels.
        max_error: the largest difference relative to the largest magnitude of the model's output.
        negligible_lsb: a file that is nowhere further off than so many LSB passes `min_agreement` and
            `min_snr_db` unseen: where a model is nearly undecided, rounding alone turns its choice.
    """

    min_agreement: float | None = None
    max_lsb: int | None = None
    min_snr_db: float | None = None
    max_error: float | None = None
    negligible_lsb: int = 0


TOLERANCES: Mapping[str, Tolerance] = {
    "float32": Tolerance(max_error=1e-4),
    "float16": Tolerance(min_agreement=0.98, min_snr_db=30.0),
    "dynamic": Tolerance(min_agreement=0.95, min_snr_db=15.0),
    "int8": Tolerance(min_agreement=0.95, min_snr_db=10.0, negligible_lsb=2),
    "int16x8": Tolerance(min_agreement=0.95, min_snr_db=15.0, negligible_lsb=2),
    "int8_weights": Tolerance(min_agreement=0.95, min_snr_db=15.0),
    "int4_weights": Tolerance(min_agreement=0.7, min_snr_db=5.0),
    "int4": Tolerance(min_agreement=0.7, min_snr_db=5.0, negligible_lsb=2),
}
"""Scheme -> the limits that a sound file keeps well within; broken ones are far outside."""


@dataclass(frozen=True)
class OutputDifference:
    """How far one output of a file is from the model's.

    Attributes:
        name: of the output.
        top1_agreement: the share of samples of the same class; `None` where none is chosen.
        max_lsb, mean_lsb: the difference in LSB of the file, to which the model's output is
            rounded first; `None` for a float output.
        snr_db: power of the model's output to that of the difference, in decibels.
        max_error, mean_error: the absolute difference, in the output's own unit.
        relative_error: `max_error` by the largest magnitude of the model's output.
    """

    name: str
    top1_agreement: float | None
    max_lsb: int | None
    mean_lsb: float | None
    snr_db: float
    max_error: float
    mean_error: float
    relative_error: float


@dataclass(frozen=True)
class Verification:
    """A file's outputs against its model's.

    Attributes:
        outputs: one entry an output, in the model's order.
        samples: how many samples both have seen.
        tolerance: how far they may be apart.
        failures: which limits the file misses, one clause each.
        findings: what is wrong with parts of inputs and outputs: dead channels, ranges that cut off, classes
            that the file never chooses. Those with `fails` are among the failures.
    """

    outputs: tuple[OutputDifference, ...]
    samples: int
    tolerance: Tolerance
    failures: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the file keeps its tolerance in every output."""
        return not self.failures

    @property
    def top1_agreement(self) -> float | None:
        """The least of the outputs that choose a class, in [0, 1]."""
        return min(_known(each.top1_agreement for each in self.outputs), default=None)

    @property
    def max_lsb(self) -> int | None:
        """The largest difference of any integer output, in LSB."""
        return max(_known(each.max_lsb for each in self.outputs), default=None)

    @property
    def mean_lsb(self) -> float | None:
        """The mean difference of the worst integer output, in LSB."""
        return max(_known(each.mean_lsb for each in self.outputs), default=None)

    @property
    def snr_db(self) -> float:
        """The signal-to-noise ratio of the worst output, in decibels."""
        return min(each.snr_db for each in self.outputs)

    @property
    def max_error(self) -> float:
        """The largest absolute difference of any output."""
        return max(each.max_error for each in self.outputs)

    def __str__(self) -> str:
        agreement = "" if self.top1_agreement is None else f"top-1 agreement {self.top1_agreement:.2%}, "
        lsb = "" if self.max_lsb is None else f"at most {self.max_lsb} LSB (mean {self.mean_lsb:.3f}), "
        verdict = "passed" if self.passed else "failed: " + "; ".join(self.failures)
        return (
            f"{agreement}{lsb}{_apart(self.snr_db, self.max_error)} on {self.samples} samples: {verdict}"
            f"{''.join(f'; note: {each}' for each in self.findings if not each.fails)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values: the worst of all outputs, and each output."""
        return {
            "top1_agreement": self.top1_agreement,
            "max_lsb": self.max_lsb,
            "mean_lsb": self.mean_lsb,
            "snr_db": self.snr_db,
            "max_error": self.max_error,
            "samples": self.samples,
            "passed": self.passed,
            "failures": list(self.failures),
            "tolerance": dataclasses.asdict(self.tolerance),
            "findings": [dataclasses.asdict(each) for each in self.findings],
            "outputs": [dataclasses.asdict(each) for each in self.outputs],
        }


def verify(
    expected: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    tolerance: Tolerance,
    *,
    classification: bool = True,
    limits: Mapping[str, tuple[float, float] | None] | None = None,
    own: bool = False,
    inputs: Sequence[Finding] = (),
) -> Verification:
    """Compare a file's outputs with its model's.

    Args:
        expected: output name -> the model's values, samples first.
        actual: output name -> the file's, as real numbers, of the same shape.
        steps: output name -> its scale; `None` for a float output.
        tolerance: how far they may be apart.
        classification: whether the outputs choose a class; else no agreement is counted.
        limits: output name -> the least and the largest number on its integer grid; `None` for a float one.
        own: whether the model is the quantization-aware one that the file was made of.
        inputs: what was found of the inputs.

    Raises:
        InvalidArgumentError: the model returns NaN or infinity, and the file integers.
    """
    outputs = tuple(
        difference(name, expected[name], actual[name], steps[name], classification=classification)
        for name in expected
    )
    found = [
        finding
        for name, values in expected.items()
        for finding in of_output(
            name,
            np.asarray(values, np.float64),
            np.asarray(actual[name], np.float64),
            steps[name],
            (limits or {}).get(name),
            own=own,
            classification=classification,
        )
    ]
    findings = (*inputs, *found)
    failures = [failure for output in outputs for failure in _failures(output, tolerance)]
    failures += [str(finding) for finding in findings if finding.fails]
    samples = len(next(iter(expected.values())))
    return Verification(outputs, samples, tolerance, tuple(failures), findings)


def difference(
    name: str, expected: np.ndarray, actual: np.ndarray, step: float | None, *, classification: bool
) -> OutputDifference:
    """Compare one output; see `verify`."""
    expected, actual = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    if step is not None and not np.all(np.isfinite(expected)):
        raise InvalidArgumentError(
            f"The model's output {name!r} holds NaN or infinity, which no integer can represent: "
            "look for weights that are not finite."
        )
    errors = np.abs(actual - expected)
    # A NaN compares as no failure anywhere: let it be the largest error instead.
    errors = np.where(np.isfinite(errors), errors, np.inf)
    steps = None if step is None else np.abs(np.round(actual / step) - np.round(expected / step))
    magnitude = float(np.max(np.abs(expected), initial=0.0))
    worst = float(np.max(errors))
    return OutputDifference(
        name=name,
        top1_agreement=_agreement(expected, actual) if classification else None,
        max_lsb=None if steps is None else int(np.max(steps)),
        mean_lsb=None if steps is None else float(np.mean(steps)),
        snr_db=snr_db(float(np.mean(expected**2)), float(np.mean(errors**2))),
        max_error=worst,
        mean_error=float(np.mean(errors)),
        relative_error=worst / max(magnitude, float(np.finfo(np.float32).tiny)),
    )


def _agreement(expected: np.ndarray, actual: np.ndarray) -> float | None:
    if expected.ndim < 2:
        return None
    if expected.shape[-1] > 1:
        return float(np.mean(np.argmax(expected, axis=-1) == np.argmax(actual, axis=-1)))
    probabilities = np.all((expected >= 0) & (expected <= 1))
    return float(np.mean((expected > 0.5) == (actual > 0.5))) if probabilities else None


def snr_db(signal: float, noise: float) -> float:
    """Return the ratio of two powers in decibels, within `MAX_SNR_DB`."""
    if noise == 0:
        return MAX_SNR_DB
    if signal == 0 or not np.isfinite(noise):
        return -MAX_SNR_DB
    return float(np.clip(10 * np.log10(signal / noise), -MAX_SNR_DB, MAX_SNR_DB))


def _failures(output: OutputDifference, tolerance: Tolerance) -> list[str]:
    negligible = output.max_lsb is not None and output.max_lsb <= tolerance.negligible_lsb
    checks = (
        ("top-1 agreement", output.top1_agreement, tolerance.min_agreement, True, negligible),
        ("SNR in dB", output.snr_db, tolerance.min_snr_db, True, negligible),
        ("largest difference in LSB", output.max_lsb, tolerance.max_lsb, False, False),
        ("largest relative difference", output.relative_error, tolerance.max_error, False, False),
    )
    return [
        f"{what} of the output {output.name!r} is {_shown(value, limit)}, "
        f"{'below the required' if at_least else 'above the allowed'} {limit:.6g}"
        for what, value, limit, at_least, excused in checks
        if value is not None
        and limit is not None
        and not excused
        and (value < limit if at_least else value > limit)
    ]


def _shown(value: float, limit: float) -> str:
    """Return a number in as few digits as tell it from the limit that it misses, three at least."""
    if isinstance(value, int):
        return str(value)
    shown = (f"{value:.{digits}g}" for digits in (*range(3, 9), 17))
    return next(each for each in shown if np.sign(float(each) - limit) == np.sign(value - limit))


def _apart(snr: float, error: float) -> str:
    return "equal" if error == 0 else f"SNR {snr:.1f} dB, largest difference {error:.3g}"


def _known(values: Iterable[Number | None]) -> list[Number]:
    return [value for value in values if value is not None]
