"""Statistics of the difference between two sets of tensors, and the table of them layer by layer."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfopt.export.debug.intermediate_tensors import FileTensor
from tfopt.export.runtime.verify import snr_db

if TYPE_CHECKING:
    from rich.table import Table

WORST_LSB = 2**16
"""The difference that counts for what is not a number: larger than any grid."""


class Sums:
    """Sums over samples from which the difference of two tensors is computed.

    Args:
        step: the scale of the second; `None` where it is not quantized.
    """

    def __init__(self, step: float | None) -> None:
        self._step = step
        self._count = 0
        self._signal = self._power = self._noise = self._product = self._steps = 0.0
        self._largest = 0.0

    def add(self, expected: np.ndarray, actual: np.ndarray) -> None:
        """Count some samples of both. What is not a number is as far off as can be."""
        with np.errstate(invalid="ignore"):
            self._add(expected.astype(np.float64), actual.astype(np.float64))

    def _add(self, expected: np.ndarray, actual: np.ndarray) -> None:
        error = actual - expected
        self._count += error.size
        self._signal += float(np.sum(expected**2))
        self._power += float(np.sum(actual**2))
        self._noise += float(np.sum(np.where(np.isfinite(error), error, np.inf) ** 2))
        self._product += float(np.sum(expected * actual))
        if self._step is not None:
            steps = np.abs(np.round(actual / self._step) - np.round(expected / self._step))
            steps = np.minimum(np.where(np.isfinite(steps), steps, WORST_LSB), WORST_LSB)
            self._steps += float(np.sum(steps))
            self._largest = max(self._largest, float(np.max(steps, initial=0.0)))

    @property
    def snr_db(self) -> float:
        """The power of the first to that of the difference, in decibels."""
        return snr_db(self._signal, self._noise)

    @property
    def cosine(self) -> float:
        """Of the angle between both, in [-1, 1]; 1 where both are zero."""
        lengths = np.sqrt(self._signal) * np.sqrt(self._power)
        if not np.isfinite(lengths) or (lengths == 0 and self._signal != self._power):
            return 0.0
        return 1.0 if lengths == 0 else float(np.clip(self._product / lengths, -1.0, 1.0))

    @property
    def max_lsb(self) -> int | None:
        """The largest difference in LSB, to which the first is rounded."""
        return None if self._step is None else int(self._largest)

    @property
    def mean_lsb(self) -> float | None:
        """The mean difference in LSB."""
        return None if self._step is None else self._steps / self._count


@dataclass(frozen=True, kw_only=True)
class LayerDifference:
    """One tensor of a file against that of the model.

    Attributes:
        layer: the layers that make it, joined by ` + ` where the file computes them in one operator.
        operator: of the file, such as `"CONV_2D"`; `"INPUT"` of what the file is given.
        tensor: the tensor's name in the file.
        position: the number of the operator in the file; -1 for an input.
        dtype, shape: of the file's tensor.
        step: its scale, which is its LSB; `None` for floats.
        snr_db: power of the model's tensor to that of the difference, in decibels.
        cosine: of the angle between both tensors.
        max_lsb, mean_lsb: the cumulative error, in LSB; `None` for floats.
        added_snr_db, added_max_lsb, added_mean_lsb: the same of the layer error: the difference to the
            output of the Keras layer for the file's own inputs.
    """

    layer: str
    operator: str
    tensor: str
    position: int
    dtype: str
    shape: tuple[int, ...]
    step: float | None
    snr_db: float
    cosine: float
    max_lsb: int | None
    mean_lsb: float | None
    added_snr_db: float
    added_max_lsb: int | None
    added_mean_lsb: float | None


def layer_difference(layers: Sequence[str], tensor: FileTensor, total: Sums, added: Sums) -> LayerDifference:
    """Return the row of the table for a tensor that `layers` make."""
    return LayerDifference(
        layer=" + ".join(layers),
        operator=tensor.operator,
        tensor=tensor.name,
        position=tensor.position,
        dtype=tensor.dtype,
        shape=tensor.shape,
        step=tensor.scale,
        snr_db=total.snr_db,
        cosine=total.cosine,
        max_lsb=total.max_lsb,
        mean_lsb=total.mean_lsb,
        added_snr_db=added.snr_db,
        added_max_lsb=added.max_lsb,
        added_mean_lsb=added.mean_lsb,
    )


@dataclass(frozen=True)
class UnmatchedTensor:
    """A tensor of the file for which the model has no counterpart, such as one inside a layer.

    Attributes:
        tensor: its name in the file.
        operator: that makes it.
        layer: that its name tells of.
    """

    tensor: str
    operator: str
    layer: str


@dataclass(frozen=True)
class DebugReport:
    """Where a file and its model differ.

    Attributes:
        layers: one entry a tensor of the file that the model has too; the largest layer error first, by
            signal-to-noise ratio.
        unmatched: what the file computes and the model has no tensor for. Their errors are counted where
            the next matched tensor is.
        samples: how many were run.
        kernels: that ran the file.
    """

    layers: tuple[LayerDifference, ...]
    unmatched: tuple[UnmatchedTensor, ...]
    samples: int
    kernels: str

    def in_order(self) -> tuple[LayerDifference, ...]:
        """Return the layers in the order in which the file computes them."""
        return tuple(sorted(self.layers, key=lambda each: each.position))

    def share_within(self, lsb: int) -> float | None:
        """Return the share of integer operators within so many LSB of layer error; `None` without any."""
        steps = [each.added_max_lsb for each in self.layers if each.position >= 0]
        counted = [each for each in steps if each is not None]
        return sum(each <= lsb for each in counted) / len(counted) if counted else None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self)

    def table(self, count: int | None = None) -> Table:
        """Return a `rich` table of the worst `count` layers, or of all."""
        from rich import box
        from rich.table import Table

        made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        made.add_column("Layer", overflow="fold")
        for heading in ("Operator", "Type"):
            made.add_column(heading, no_wrap=True)
        for heading in ("Layer error", "max LSB", "mean", "Cumulative error", "max LSB", "mean", "cosine"):
            made.add_column(heading, justify="right", no_wrap=True)
        for each in self.layers[:count]:
            made.add_row(
                each.layer,
                each.operator,
                each.dtype,
                f"{each.added_snr_db:.1f} dB",
                *_lsb(each.added_max_lsb, each.added_mean_lsb),
                f"{each.snr_db:.1f} dB",
                *_lsb(each.max_lsb, each.mean_lsb),
                f"{each.cosine:.4f}",
            )
        return made

    def conclusion(self) -> str:
        """Return in words what was compared and what could not be."""
        share = self.share_within(1)
        within = "" if share is None else f"{share:.1%} of integer operators: layer error at most 1 LSB. "
        matched = f"{len(self.layers)} tensors on {self.samples} samples, kernels: {self.kernels}. {within}"
        if not self.unmatched:
            return matched.rstrip()
        by_layer: dict[str, list[str]] = {}
        for each in self.unmatched:
            by_layer.setdefault(each.layer, []).append(each.operator)
        listed = "; ".join(f"{', '.join(names)} of {layer}" for layer, names in by_layer.items())
        return f"{matched}Without a counterpart in the model, {len(self.unmatched)}: {listed}."

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=120, color_system=None, legacy_windows=False)
        with console.capture() as capture:
            console.print(self.table())
        lines = [line.rstrip() for line in capture.get().splitlines()]
        return "\n".join([*lines, "", self.conclusion()])


def _lsb(largest: int | None, mean: float | None) -> tuple[str, str]:
    return ("-", "-") if largest is None else (str(largest), f"{mean:.3f}")
