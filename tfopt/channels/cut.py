"""Making the smaller model: layers of the sizes that are left, with the weights that are left."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt.channels.cut_masks import cut_masks
from tfopt.channels.groups import Dependencies, Slice
from tfopt.channels.rule import Sizes
from tfopt.channels.rules.activations import is_of_keras
from tfopt.channels.rules.registry import rule_of
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.graph import (
    Copier,
    Node,
    StructuralCopy,
    as_array,
    copy,
    inner_layers,
    nodes,
    replay,
    with_class_of,
)


def cut(dependencies: Dependencies, keep: np.ndarray) -> keras.Model:
    """Return the model without some units, made of layers of Keras wherever the original is.

    It trains, saves and loads like any other, and shares nothing with `dependencies.model`.

    Args:
        dependencies: of the model.
        keep: of each unit, whether it stays; boolean, of length `dependencies.count`.

    Raises:
        InvalidArgumentError: `keep` is of another length or type, or nothing of a group stays.
        UnsupportedModel: a layer of other sizes cannot be made from its config.
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
        self._operations: list[tuple[Node, Any]] = []
        called = nodes(dependencies.model)
        self._cut = {id(node.operation) for node in called if self._is_cut(node)}

    def call(self, node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return the outputs of a call in the smaller model."""
        rule = rule_of(node.operation)
        changes = {} if rule.config is None else rule.config(self._sizes, node)
        if rule.arguments is not None:
            args, kwargs = rule.arguments(self._sizes, node, args, kwargs)
        return self._operation(node, changes)(*args, **kwargs)

    def _operation(self, node: Node, changes: dict[str, Any]) -> Any:
        """Return the operation of the new sizes; one that is shared is made once for each of these."""
        anew = changes or isinstance(node.operation, keras.Layer)
        if not anew or id(node.operation) not in self._cut:
            return self._copier(node)
        made = self._made.setdefault(id(node.operation), [])
        for known, operation in made:
            if known == changes:
                return operation
        config = node.operation.get_config()
        name = self._copier.name(node)
        config |= {**changes, "name": f"{name}_{len(made)}" if made else name}
        operation = _like(node.operation, config)
        made.append((changes, operation))
        self._operations.append((node, operation))
        return operation

    def _is_cut(self, node: Node) -> bool:
        """Return whether an operation has another form: it has fewer weights, or tensors of other shapes."""
        variables = getattr(node.operation, "variables", ())
        cut = [each for variable in variables for each in self._slices.get(id(variable), ())]
        return any(len(each.kept(self._keep)) < len(each.units) for each in cut) or any(
            self._sizes.changed(x) for x in (*node.inputs, *node.outputs)
        )

    def set_weights(self) -> None:
        """Give the new layers what is left of the weights of the old."""
        for node, new in self._operations:
            old, rule = node.operation, rule_of(node.operation)
            factors = {} if rule.factors is None else rule.factors(self._sizes, node)
            pairs = _pairs(old, new)
            for variable, smaller in pairs:
                left = self._left(variable, as_array(variable))
                factor = factors.get(id(variable), 1.0)
                smaller.assign(left if factor == 1 else left * np.asarray(factor, left.dtype))
            if pairs:
                cut_masks(old, new, pairs, self._left)
            for inner, made in zip(_inner_layers(old), _inner_layers(new), strict=True):
                made.trainable = inner.trainable

    def _left(self, variable: keras.Variable, values: np.ndarray) -> np.ndarray:
        """Return what is left of an array of the shape of a variable."""
        for each in self._slices.get(id(variable), ()):
            values = np.take(values, each.kept(self._keep), axis=each.axis)
        return values


def _pairs(old: Any, new: Any) -> list[tuple[keras.Variable, keras.Variable]]:
    """Return the variables of an operation and those of the one that takes its place."""
    before, after = (list(getattr(each, "variables", ())) for each in (old, new))
    if len(before) != len(after):  # the state of a seed, where a layer drops nothing any more
        before = [each for each in before if keras.backend.is_float_dtype(each.dtype)]
    return list(zip(before, after, strict=True))


def _inner_layers(operation: Any) -> list[keras.Layer]:
    return inner_layers(operation) if isinstance(operation, keras.Layer) else []


def _like(operation: Any, config: dict[str, Any]) -> Any:
    """Return an operation of the class of another, of a config with other sizes.

    Functions that users wrote as activations are taken as they are, for a config can name them only where
    they are registered; so are initializers of values that are given, which have the old sizes.
    """
    config = _not_built(config)
    activation = getattr(operation, "activation", None)
    own = "activation" in config and activation is not None and not is_of_keras(activation)
    if own:
        config["activation"] = None
    try:
        new: Any = type(operation).from_config(config)
    except (TypeError, ValueError) as error:
        raise UnsupportedModel(
            f"{operation.name!r} ({type(operation).__name__}) cannot be made anew with fewer channels from "
            f"its config: {str(error).splitlines()[0]} Register what you wrote for it, such as a constraint "
            "or a regularizer: @keras.saving.register_keras_serializable()."
        ) from error
    if own:
        new.activation = StructuralCopy()(activation)
    return new


def _not_built(config: Any) -> Any:
    """Return a config without what has the old sizes: shapes of inner layers, and values to begin with."""
    if isinstance(config, dict):
        kept = {name: each for name, each in config.items() if name != "build_config"}
        return {
            name: "zeros" if name.endswith("_initializer") and _has_sizes(each) else _not_built(each)
            for name, each in kept.items()
        }
    return [_not_built(each) for each in config] if isinstance(config, list) else config


def _has_sizes(initializer: Any) -> bool:
    """Return whether an initializer, as a config has it, may make arrays of one shape alone."""
    if not isinstance(initializer, dict):
        return False
    of_keras = str(initializer.get("module", "")).startswith("keras.")
    return not of_keras or initializer.get("class_name") == "Constant"
