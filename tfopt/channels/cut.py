"""Making the smaller model: layers of the sizes that are left, with the weights that are left."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt.channels.groups import Dependencies, Slice
from tfopt.channels.rule import Sizes
from tfopt.channels.rules.registry import rule_of
from tfopt.errors import InvalidArgumentError
from tfopt.graph import Copier, Node, as_array, copy, replay, with_class_of


def cut(dependencies: Dependencies, keep: np.ndarray) -> keras.Model:
    """Return the model without some units, made of layers of Keras wherever the original is.

    It trains, saves and loads like any other, and shares nothing with `dependencies.model`.

    Args:
        dependencies: of the model.
        keep: of each unit, whether it stays; boolean, of length `dependencies.count`.

    Raises:
        InvalidArgumentError: `keep` is of another length or type, or nothing of a group stays.
    """
    keep = checked(dependencies, keep)
    run = _Cut(dependencies, keep)
    result = replay(dependencies.model, run.call)
    run.set_weights()
    return with_class_of(dependencies.model, result)


def masked(dependencies: Dependencies, keep: np.ndarray) -> keras.Model:
    """Return a copy of `dependencies.model` whose weights are zero wherever they are removed units'.

    It computes the same as `cut(dependencies, keep)`, but for units of groups that are not `exact`.

    Args:
        dependencies, keep: as `cut` takes them.

    Raises:
        InvalidArgumentError: as `cut`.
    """
    keep = checked(dependencies, keep)
    model = copy(dependencies.model)
    numbers = {id(variable): n for n, variable in enumerate(dependencies.model.variables)}
    for each in dependencies.slices:
        variable = model.variables[numbers[id(each.variable)]]
        values = as_array(variable).copy()
        removed = np.setdiff1d(np.arange(values.shape[each.axis]), each.kept(keep))
        values[(slice(None),) * each.axis + (removed,)] = 0
        variable.assign(values)
    return model


def checked(dependencies: Dependencies, keep: np.ndarray) -> np.ndarray:
    """Return which units stay, as an array.

    Raises:
        InvalidArgumentError: `keep` is of another length or type, or nothing of a group stays.
    """
    keep = np.asarray(keep)
    if keep.dtype != bool or keep.shape != (dependencies.count,):
        raise InvalidArgumentError(
            f"Expected a boolean for each of the {dependencies.count} units, True for those that stay; got "
            f"an array of {keep.dtype} of the shape {keep.shape}."
        )
    empty = [group.name for group in dependencies.groups if not keep[group.units].any()]
    if empty:
        raise InvalidArgumentError(
            f"Nothing would be left of {', '.join(empty)}: at least one unit of each group has to stay."
        )
    return keep


class _Cut:
    """Makes the calls of the smaller model.

    Args:
        dependencies, keep: as `cut` takes them.
    """

    def __init__(self, dependencies: Dependencies, keep: np.ndarray) -> None:
        self._sizes = Sizes(dependencies, keep)
        self._keep = keep
        self._copier = Copier()
        self._slices: dict[int, list[Slice]] = {}
        for each in dependencies.slices:
            self._slices.setdefault(id(each.variable), []).append(each)
        self._made: dict[int, list[tuple[dict[str, Any], Any]]] = {}
        self._operations: list[tuple[Any, Any]] = []

    def call(self, node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return the outputs of a call in the smaller model."""
        rule = rule_of(node.operation)
        changes = {} if rule.config is None else rule.config(self._sizes, node)
        if rule.arguments is not None:
            args, kwargs = rule.arguments(self._sizes, node, args, kwargs)
        return self._operation(node, changes)(*args, **kwargs)

    def _operation(self, node: Node, changes: dict[str, Any]) -> Any:
        """Return the operation of the new sizes; one that is shared is made once for each of these."""
        if not self._is_cut(node, changes):
            return self._copier(node)
        made = self._made.setdefault(id(node.operation), [])
        for known, operation in made:
            if known == changes:
                return operation
        config = node.operation.get_config()
        name = self._copier.name(node)
        config |= {**changes, "name": f"{name}_{len(made)}" if made else name}
        operation = type(node.operation).from_config(_not_built(config))
        made.append((changes, operation))
        self._operations.append((node.operation, operation))
        return operation

    def _is_cut(self, node: Node, changes: dict[str, Any]) -> bool:
        """Return whether an operation has another form: it has fewer weights, or tensors of other shapes."""
        if not isinstance(node.operation, keras.Layer):
            return bool(changes) and any(self._sizes.changed(x) for x in (*node.inputs, *node.outputs))
        return any(id(each) in self._slices for each in node.operation.variables) or any(
            self._sizes.changed(x) for x in (*node.inputs, *node.outputs)
        )

    def set_weights(self) -> None:
        """Give the new layers what is left of the weights of the old."""
        for old, new in self._operations:
            for variable, smaller in zip(
                getattr(old, "variables", ()), getattr(new, "variables", ()), strict=True
            ):
                smaller.assign(self._values(variable))

    def _values(self, variable: keras.Variable) -> np.ndarray:
        values = as_array(variable)
        for each in self._slices.get(id(variable), ()):
            values = np.take(values, each.kept(self._keep), axis=each.axis)
        return values


def _not_built(config: Any) -> Any:
    """Return a config without the shapes that layers inside of the layer were built for."""
    if isinstance(config, dict):
        return {name: _not_built(each) for name, each in config.items() if name != "build_config"}
    return [_not_built(each) for each in config] if isinstance(config, list) else config
