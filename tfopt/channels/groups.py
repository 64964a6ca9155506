"""What can be removed from a model, as data: units, the slices of variables that they hold, groups of units.

A *unit* is the least that can be removed by itself: a channel of a convolution with its bias, the statistics
of the normalization after it and the rows of every kernel that reads it; where channels are added to others,
these too. A *group* holds units of the same kind, one of which can go in place of another. (Fang et al.,
DepGraph, CVPR 2023, arXiv 2301.12900, calls the first a slice of a group, the second a group.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

FIXED = -1
"""The unit of what always stays."""


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
    """One axis of a variable along which units are removed.

    Attributes:
        layer: the path of the layer that owns the variable, in `Dependencies.model`.
        variable: of that layer.
        axis: of the variable.
        units: the unit of each position along the axis, `FIXED` where it stays; of length
            `variable.shape[axis]`. One unit may stand at many positions: an LSTM's unit at four of its
            kernel, a channel that is flattened at one for each pixel.
        made: whether the layer makes these channels; otherwise it reads them, or scales them.
    """

    layer: str
    variable: keras.Variable
    axis: int
    units: np.ndarray
    made: bool

    def kept(self, keep: np.ndarray) -> np.ndarray:
        """Return the positions that stay, where `keep` tells of each unit whether it does."""
        return np.flatnonzero(np.append(keep, True)[self.units])  # FIXED is the last


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Units of one kind.

    Attributes:
        name: the path of the first layer that makes them.
        units: their ids, in the order of the channels.
        exact: whether removing a unit whose weights are all zero leaves the outputs as they are. Not where a
            layer takes statistics over the channels, as LayerNormalization does.
    """

    name: str
    units: np.ndarray
    exact: bool = True


@dataclasses.dataclass(frozen=True, eq=False)
class Dependencies:
    """What can be removed from a model.

    Attributes:
        model: the model that the rest speaks of: functional, with nested models flattened and layers of the
            user's own decomposed where they can be; computes the same. A copy: its variables may be changed.
        groups: in the order of the model. A unit is in one of them.
        slices: of all variables.
        frozen: path of a layer whose channels all stay -> why.
        axes: `id` of a tensor of `model` -> the units along each of its axes, None for an axis that keeps its
            size (the batch, space, time, what is frozen).
    """

    model: keras.Model
    groups: tuple[Group, ...]
    slices: tuple[Slice, ...]
    frozen: Mapping[str, str]
    axes: Mapping[int, tuple[np.ndarray | None, ...]]

    @property
    def count(self) -> int:
        """How many units there are; their ids are below."""
        return sum(len(group.units) for group in self.groups)

    def shape(self, tensor: keras.KerasTensor, keep: np.ndarray) -> tuple[int | None, ...]:
        """Return the shape that a tensor of `model` has where `keep` tells which units stay."""
        stays = np.append(keep, True)
        axes = self.axes.get(id(tensor), (None,) * len(tensor.shape))
        return tuple(
            size if units is None else int(stays[units].sum())
            for size, units in zip(tensor.shape, axes, strict=True)
        )
