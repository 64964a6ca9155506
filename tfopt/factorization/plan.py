"""Which layers are factorized with which ranks, as data."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfopt.factorization.methods.base import Ranks

_HEAD = ("layer", "kind", "method", "full rank", "rank", "MACs", "weights", "error", "notes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerRanks:
    """What is decided about one layer.

    Attributes:
        path: of the layer.
        kind: the name of its class.
        method: `"svd"`, `"tucker"` or `"spatial"`; `""` where it cannot be factorized.
        full: the ranks with which nothing is lost.
        ranks: those that it gets; None where it is left alone.
        macs: multiply-accumulates before and after; None where the model leaves sizes open.
        weights: of the kernel before, and of the factors after.
        error: the squared error of the kernel by its squared norm, in [0, 1]; 0 where it is left alone.
        reason: why it is left alone; `""` where it is not.
    """

    path: str
    kind: str
    method: str = ""
    full: Ranks = ()
    ranks: Ranks | None = None
    macs: tuple[int, int] | None = None
    weights: tuple[int, int] | None = None
    error: float = 0.0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowRankPlan:
    """What `tfopt.low_rank` does to a model; print it, or `table()`.

    Attributes:
        layers: all with kernels, those that are factorized and those that are left alone.
        macs: multiply-accumulates of the whole model before and after; None where it leaves sizes open.
        params: weights of the whole model, as `model.count_params()` counts them, before and after.
    """

    layers: tuple[LayerRanks, ...]
    macs: tuple[int, int] | None
    params: tuple[int, int]

    @property
    def factorized(self) -> tuple[LayerRanks, ...]:
        """The layers that are factorized."""
        return tuple(layer for layer in self.layers if layer.ranks is not None)

    def table(self) -> str:
        """Return one line for each layer, and one for the model, for people."""
        rows = [_HEAD, *map(_row, self.layers)]
        rows.append(("all", "", "", "", "", _change(self.macs), _change(self.params), "", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)

    def __str__(self) -> str:
        """Return `table()`."""
        return self.table()


def _row(layer: LayerRanks) -> tuple[str, ...]:
    done = layer.ranks is not None
    return (
        layer.path,
        layer.kind,
        layer.method,
        _ranks(layer.full),
        _ranks(layer.ranks or ()),
        _change(layer.macs) if done else "",
        _change(layer.weights) if done else "",
        f"{layer.error:.3g}" if done else "",
        layer.reason,
    )


def _ranks(ranks: Ranks) -> str:
    return ", ".join(map(str, ranks))


def _change(pair: tuple[int, int] | None) -> str:
    return "" if pair is None else f"{pair[0]:,} -> {pair[1]:,}"
