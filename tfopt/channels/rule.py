"""What a rule is: how units pass an operation, and what becomes of the operation when some are removed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels.groups import FIXED, Dependencies, Slice
from tfopt.channels.units import Units
from tfopt.graph import Node

Axes = Sequence[np.ndarray | None]
"""Of each axis of a tensor, the units of its positions; None where the axis keeps its size."""


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """The units along the axes of a tensor.

    Attributes:
        axes: of each axis, the unit of each position; None where the axis keeps its size.
        zero: whether the values of a unit are zero where the weights of the unit are, along every axis.
    """

    axes: tuple[np.ndarray | None, ...]
    zero: bool = False

    def with_axes(self, axes: Axes, zero: bool | None = None) -> Layout:
        """Return a layout of other axes, of the same values or of others."""
        return Layout(tuple(axes), self.zero if zero is None else zero)

    @property
    def fixed(self) -> bool:
        """Whether no axis has units."""
        return all(units is None for units in self.axes)

    def only(self, *axes: int) -> bool:
        """Return whether no axis but some has units."""
        meant = {axis % len(self.axes) for axis in axes}
        return all(units is None or axis in meant for axis, units in enumerate(self.axes))


@dataclasses.dataclass(eq=False)
class Walk:
    """What is found while a model is followed.

    Attributes:
        units: which go together.
        slices: of the variables.
        parts: units that one tensor holds alone; some of each have to stay.
        choices: units of which a rule chose the axis: the place of the call, and how many axes there were.
        readers: `id` of a tensor -> the calls that read it.
    """

    units: Units = dataclasses.field(default_factory=Units)
    slices: list[Slice] = dataclasses.field(default_factory=list)
    parts: list[np.ndarray] = dataclasses.field(default_factory=list)
    choices: list[tuple[int, np.ndarray, int]] = dataclasses.field(default_factory=list)
    readers: Mapping[int, Sequence[Node]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A call whose inputs have layouts, for a rule to follow.

    Attributes:
        node: the call.
        inputs: the layouts of `node.inputs`.
        walk: what was found so far, to which rules add.
        place: of the call among those of the model.
        choice: which of the axes that may have the units is to have them, where a rule has to choose.
    """

    node: Node
    inputs: tuple[Layout, ...]
    walk: Walk
    place: int = 0
    choice: int = 0

    @property
    def operation(self) -> Any:
        """The operation that is called."""
        return self.node.operation

    @property
    def units(self) -> Units:
        """The units of the model."""
        return self.walk.units

    @property
    def name(self) -> str:
        """The call, for a person."""
        return f"{self.node.path} ({type(self.operation).__name__})"

    def layout(self, tensor: Any) -> Layout:
        """Return the layout of a tensor that the operation is called with; arrays keep their sizes."""
        for each, layout in zip(self.node.inputs, self.inputs, strict=True):
            if each is tensor:
                return layout
        return fixed(tensor)

    def fresh(self, count: int) -> np.ndarray | None:
        """Return new units; none for a single channel, which has to stay."""
        return self.units.fresh(count) if count > 1 else None

    def add(
        self, variable: keras.Variable | None, axis: int, units: np.ndarray | None, *, made: bool = False
    ) -> None:
        """Note the units along an axis of a variable of the layer.

        Args:
            variable: None where the layer has none.
            axis: of it.
            units: of each position; None where all stay.
            made: whether the layer makes these channels.
        """
        if variable is None:
            return
        axis %= len(variable.shape)
        length = variable.shape[axis]
        along = np.full(length, FIXED) if units is None else units
        assert len(along) == length, (self.name, variable.path, axis, len(along))
        self.walk.slices.append(Slice(self.node.path, variable, axis, along, made))

    def fix(self, layout: Layout, why: str, *, but: Sequence[int] = ()) -> Layout:
        """Let the units along the axes stay, all or those not in `but`; return the layout without them.

        Args:
            layout: of an input.
            why: a sentence whose subject is the call: `"takes a maximum over them"`.
            but: axes that are not meant.
        """
        meant = {axis % len(layout.axes) for axis in but} if layout.axes else set()
        axes = list(layout.axes)
        for axis, units in enumerate(axes):
            if axis not in meant and units is not None:
                self.units.fix(units, f"{self.name} {why}")
                axes[axis] = None
        return layout.with_axes(axes)

    def unite(self, one: np.ndarray | None, other: np.ndarray | None, why: str = "") -> np.ndarray | None:
        """Let the units along two axes of one size go together; return them, None where one axis has none."""
        reason = f"{self.name} {why or 'joins them with channels that stay'}"
        if one is None or other is None:
            for units in (one, other):
                if units is not None:
                    self.units.fix(units, reason)
            return None
        self.units.unite(one, other, reason)
        return one


class Sizes:
    """The sizes that tensors and variables have when some units are removed.

    Args:
        dependencies: of the model.
        keep: of each unit, whether it stays.
        others: the units along the axes of tensors that are in no model.
    """

    def __init__(
        self, dependencies: Dependencies, keep: np.ndarray, others: Mapping[int, Axes] | None = None
    ) -> None:
        self._dependencies = dependencies
        self._stays = np.append(keep, True)  # FIXED is the last
        self._others = others or {}
        self._along = {(id(each.variable), each.axis): each.units for each in reversed(dependencies.slices)}

    def axes(self, tensor: keras.KerasTensor) -> tuple[np.ndarray | None, ...]:
        """Return the units along the axes of a tensor of the old model."""
        known = self._others.get(id(tensor)) or self._dependencies.axes.get(id(tensor))
        return tuple(known or (None,) * len(tensor.shape))

    def shape(self, tensor: keras.KerasTensor) -> tuple[int | None, ...]:
        """Return the new shape of a tensor of the old model."""
        axes = self.axes(tensor)
        return tuple(
            size if units is None else self.count(units)
            for size, units in zip(tensor.shape, axes, strict=True)
        )

    def kept(self, units: np.ndarray) -> np.ndarray:
        """Return, of each of some units, whether it stays."""
        return self._stays[units]

    def count(self, units: np.ndarray) -> int:
        """Return how many of some units stay."""
        return int(self._stays[units].sum())

    def of_variable(self, variable: keras.Variable, axis: int) -> int:
        """Return the new length of a variable along an axis."""
        units = self._along.get((id(variable), axis))
        return variable.shape[axis] if units is None else self.count(units)

    def changed(self, tensor: keras.KerasTensor) -> bool:
        """Return whether a tensor of the old model has another shape."""
        return self.shape(tensor) != tuple(tensor.shape)

    def of_others(self, others: Mapping[int, Axes]) -> Sizes:
        """Return the sizes of tensors that are in no model."""
        sizes = copy.copy(self)
        sizes._others = others
        return sizes


Follow = Callable[[Call], list[Layout]]
"""Returns the layouts of the outputs of a call, and notes the slices of its variables."""
Config = Callable[[Sizes, Node], dict[str, Any]]
"""Returns the entries of the config of the operation that change."""
Arguments = Callable[[Sizes, Node, tuple, dict[str, Any]], tuple[tuple, dict[str, Any]]]
"""Returns the arguments that a new operation is called with, of those with the new tensors."""
Factors = Callable[[Sizes, Node], Mapping[int, float]]
"""Returns `id` of a variable -> a factor that makes up for a size by which the operation divides."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """How units pass an operation.

    Attributes:
        follow: through a call.
        config: what changes in the config of the operation; None where nothing does.
        arguments: what changes in the arguments; None where nothing does.
        factors: by what weights are multiplied; None where they are taken as they are.
    """

    follow: Follow
    config: Config | None = None
    arguments: Arguments | None = None
    factors: Factors | None = None


def fixed(tensor: Any) -> Layout:
    """Return the layout of a tensor or an array that keeps its sizes."""
    return Layout((None,) * len(tensor.shape))


def unknown(call: Call) -> list[Layout]:
    """Let everything that an operation without a rule is given stay."""
    return stays(call, "has no rule by which its channels could be followed")


def stays(call: Call, why: str) -> list[Layout]:
    """Let everything that an operation is given stay.

    Args:
        call: of the operation.
        why: a sentence whose subject is the call.
    """
    for layout in call.inputs:
        call.fix(layout, why)
    return [fixed(output) for output in call.node.outputs]


def positions(units: np.ndarray) -> np.ndarray | None:
    """Return units, None where all of them stay."""
    return None if (units == FIXED).all() else units


def table(rows: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return a table of one name a row, of rows that are for several, with spaces between."""
    return {name: rule for names, rule in rows.items() for name in names.split()}
