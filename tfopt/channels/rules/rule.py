"""What a rule is: how units pass an operation, and what becomes of the operation when some are removed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels.groups import FIXED, Dependencies, Slice
from tfopt.channels.units import Units
from tfopt.graph import Node


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """The units along the axes of a tensor.

    Attributes:
        axes: of each axis, the unit of each position; None where the axis keeps its size.
        zero: whether the values of a unit are zero where the weights of the unit are.
    """

    axes: tuple[np.ndarray | None, ...]
    zero: bool = False

    def with_axes(self, axes: Sequence[np.ndarray | None], zero: bool | None = None) -> Layout:
        """Return a layout of other axes, of the same values or of others."""
        return Layout(tuple(axes), self.zero if zero is None else zero)

    @property
    def fixed(self) -> bool:
        """Whether no axis has units."""
        return all(units is None for units in self.axes)


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A call whose inputs have layouts, for a rule to follow.

    Attributes:
        node: the call.
        inputs: the layouts of `node.inputs`.
        units: of the model.
        slices: of the variables so far, to which rules add.
        choice: how many of the axes that the rule would rather choose turned out to stay.
    """

    node: Node
    inputs: tuple[Layout, ...]
    units: Units
    slices: list[Slice]
    choice: int = 0

    @property
    def operation(self) -> Any:
        """The operation that is called."""
        return self.node.operation

    @property
    def name(self) -> str:
        """The call, for a person."""
        return f"{self.node.path} ({type(self.operation).__name__})"

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
        self.slices.append(Slice(self.node.path, variable, axis, along, made))

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

    def unite(self, one: np.ndarray | None, other: np.ndarray | None, why: str) -> np.ndarray | None:
        """Let the units along two axes of one size go together; return them, None where one axis has none."""
        if one is None or other is None:
            for units in (one, other):
                if units is not None:
                    self.units.fix(units, f"{self.name} {why}")
            return None
        self.units.unite(one, other, f"{self.name} {why}")
        return one


class Sizes:
    """The sizes that tensors and variables have when some units are removed.

    Args:
        dependencies: of the model.
        keep: of each unit, whether it stays.
    """

    def __init__(self, dependencies: Dependencies, keep: np.ndarray) -> None:
        self._dependencies = dependencies
        self._stays = np.append(keep, True)
        self._keep = keep

    def shape(self, tensor: keras.KerasTensor) -> tuple[int | None, ...]:
        """Return the new shape of a tensor of the old model."""
        return self._dependencies.shape(tensor, self._keep)

    def axes(self, tensor: keras.KerasTensor) -> tuple[np.ndarray | None, ...]:
        """Return the units along the axes of a tensor of the old model."""
        return self._dependencies.axes.get(id(tensor), (None,) * len(tensor.shape))

    def kept(self, units: np.ndarray) -> np.ndarray:
        """Return, of each of some units, whether it stays."""
        return self._stays[units]

    def changed(self, tensor: keras.KerasTensor) -> bool:
        """Return whether a tensor of the old model has another shape."""
        return self.shape(tensor) != tuple(tensor.shape)


Follow = Callable[[Call], list[Layout]]
"""Returns the layouts of the outputs of a call, and notes the slices of its variables."""
Config = Callable[[Sizes, Node], dict[str, Any]]
"""Returns the entries of the config of the operation that change."""
Arguments = Callable[[Sizes, Node, tuple, dict[str, Any]], tuple[tuple, dict[str, Any]]]
"""Returns the arguments that a new operation is called with, of those with the new tensors."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """How units pass an operation.

    Attributes:
        follow: through a call.
        config: what changes in the config of the operation; None where nothing does.
        arguments: what changes in the arguments; None where nothing does.
    """

    follow: Follow
    config: Config | None = None
    arguments: Arguments | None = None


def fixed(tensor: keras.KerasTensor) -> Layout:
    """Return the layout of a tensor that keeps its sizes."""
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


def table(rows: dict[str, Rule]) -> dict[str, Rule]:
    """Return a table of one name a row of rows that are for several, with spaces between."""
    return {name: rule for names, rule in rows.items() for name in names.split()}
