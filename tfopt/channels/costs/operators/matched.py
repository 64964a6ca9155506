"""The operators of a file, with the units that fill the axes of their tensors.

A converter fuses, splits and renames layers, so which channels an axis of a file holds is read off sizes: the
same model is exported with other units left, and an axis holds the units whose number changes as it does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.export.flatbuffer.file import Call, ParsedFile

Axis = tuple[int, int | None]
"""The size of an axis in the file of the whole model, and the row of `AxisSizes` that it changes with."""


@dataclasses.dataclass(frozen=True, eq=False)
class MatchedOperator:
    """An operator of the file of the whole model.

    Attributes:
        file, call: where it is.
        axes: of each of its tensors, inputs first; of an input that it does without, none.
    """

    file: ParsedFile
    call: Call
    axes: tuple[tuple[Axis, ...], ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """The rows that its axes change with, each once, in the order of its tensors."""
        return tuple(dict.fromkeys(row for axes in self.axes for _, row in axes if row is not None))

    def shapes(self, ratios: dict[int, Fraction]) -> list[tuple[int, ...]]:
        """Return the shape of each tensor where the size of each row is so much of the whole."""
        return [
            tuple(size if row is None else max(1, round(size * ratios[row])) for size, row in axes)
            for axes in self.axes
        ]


def matched(
    contents: Sequence[bytes], keeps: Sequence[np.ndarray], sizes: AxisSizes
) -> list[MatchedOperator] | None:
    """Return the operators of the first file with the rows that their axes change with.

    Args:
        contents: files of the same model; of the whole model first.
        keeps: of each file whether each unit is in it.
        sizes: the axes of the model.

    Returns:
        None where the files differ in more than sizes, or an axis changes as no axis of the model does.
    """
    files = [ParsedFile(content) for content in contents]
    calls = [list(file.calls()) for file in files]
    if len({tuple(call.name for call in each) for each in calls}) != 1:
        return None
    known = _Rows(np.stack([sizes.at(keep) for keep in keeps]))
    found = []
    for alike in zip(*calls, strict=True):
        shapes = [_shapes(call) for call in alike]
        if len({tuple(map(len, each)) for each in shapes}) != 1:
            return None
        axes = []
        for tensor in zip(*shapes, strict=True):
            rows = [known.row(of_axis) for of_axis in zip(*tensor, strict=True)]
            if any(row == _UNKNOWN for row in rows):
                return None
            axes.append(tuple(zip(tensor[0], (None if row == _FIXED else row for row in rows), strict=True)))
        found.append(MatchedOperator(files[0], alike[0], tuple(axes)))
    return found


_FIXED, _UNKNOWN = -1, -2


class _Rows:
    """Finds rows by how their sizes change.

    Args:
        sizes: of shape `(files, rows)`.
    """

    def __init__(self, sizes: np.ndarray) -> None:
        self._exact: dict[tuple[int, ...], int] = {}
        self._ratio: dict[tuple[Fraction, ...], int] = {}
        for row, column in enumerate(sizes.astype(int).T.tolist()):
            self._exact.setdefault(tuple(column), row)
            self._ratio.setdefault(_ratios(column), row)

    def row(self, axis: tuple[int, ...]) -> int:
        """Return the row of an axis with these sizes in the files: the very sizes, or a multiple of them."""
        if len(set(axis)) == 1:
            return _FIXED
        return self._exact.get(axis, self._ratio.get(_ratios(axis), _UNKNOWN))


def _ratios(sizes: Sequence[int]) -> tuple[Fraction, ...]:
    return tuple(Fraction(size, max(1, sizes[0])) for size in sizes)


def _shapes(call: Call) -> list[tuple[int, ...]]:
    numbers = [*map(int, call.operator.inputs), *map(int, call.operator.outputs)]
    return [() if n < 0 else tuple(map(int, _shape(call.graph.tensors[n]))) for n in numbers]


def _shape(tensor: object) -> Sequence[int]:
    shape: Sequence[int] | None = getattr(tensor, "shape", None)
    return () if shape is None else shape
