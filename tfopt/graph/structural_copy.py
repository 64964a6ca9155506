"""Copies of layers and models that need no config: new objects of the same structure, with all their state.

`get_config` describes what a constructor took, and code that people write often has none that can be read
back. What a layer *is* stands in its attributes: variables, layers, random states, adapted statistics,
tables, functions. This module copies these, and the record that Keras keeps of the calls in a functional
model; what is private in that is in `tfopt.graph._keras_objects`.
"""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import _keras_objects, _tensorflow
from tfopt.graph._keras_objects import Node, Tracker
from tfopt.graph.reached import holds_state

_DROPPED: Any = object()
"""Stands for what a copy does not get: what `compile` made."""


class StructuralCopy:
    """Copies layers, models and what they hold; what it has copied once stays one object.

    New are variables (with their values), layers, random states, and every list, dictionary, object, bound
    method and closure through which one of these is reached. Tensors, types, functions without such closures
    and lookup tables are shared. Nothing of the original is called or changed. A copied model is not
    compiled.

    Args:
        share_variables: whether the copy has the very variables of the original, for uses that only read
            them.
        in_float32: whether the copy computes in float32 where the original does in another float, and has
            variables of that type.
    """

    def __init__(self, *, share_variables: bool = False, in_float32: bool = False) -> None:
        self._share = share_variables
        self._in_float32 = in_float32
        self._memo: dict[int, Any] = {}
        self._originals: list[Any] = []  # kept alive, for `id` names an object only while that lives
        self._calls = _keras_objects.CopiedCalls(self._copy, self._remember)
        self._depth = 0

    def __call__(self, value: Any) -> Any:
        """Return the copy of a layer, a model, or a structure that holds some."""
        self._depth += 1
        try:
            copied = self._copy(value)
        finally:
            self._depth -= 1
        if not self._depth:
            self._calls.wire(self._memo)
        return copied

    def copied(self, value: Any) -> Any:
        """Return what was copied of a value, None where it was not copied."""
        return self._memo.get(id(value))

    def _copy(self, value: Any) -> Any:
        if id(value) in self._memo:
            return self._memo[id(value)]
        for kinds, copy in self._RULES:
            if isinstance(value, kinds):
                return copy(self, value)
        return self._object(value)

    def _remember(self, value: Any, copied: Any) -> Any:
        self._memo[id(value)] = copied
        self._originals.append(value)
        return copied

    def _same(self, value: Any) -> Any:
        return value

    def _dropped(self, value: Any) -> Any:  # noqa: ARG002 (a rule's signature)
        return _DROPPED

    def _all(self, values: Iterable[Any]) -> list[Any]:
        copies = [self._copy(value) for value in values]
        return [each for each in copies if each is not _DROPPED]

    def _array(self, value: np.ndarray) -> np.ndarray:
        return value if self._share else self._remember(value, value.copy())

    def _variable(self, value: keras.Variable) -> keras.Variable:
        half = self._in_float32 and value.dtype in ("float16", "bfloat16")
        if self._share and not half:
            return value
        dtype = "float32" if half else value.dtype
        return _keras_objects.copied_variable(value, dtype, self._copy, self._remember)

    def _policy(self, value: keras.DTypePolicy) -> keras.DTypePolicy:
        other = self._in_float32 and "float" in value.name  # not a policy of integers
        return keras.DTypePolicy("float32") if other else value

    def _raw_variable(self, value: tf.Variable) -> tf.Variable:
        if self._share:
            return value
        name = value.name.split(":")[0]
        return self._remember(
            value, tf.Variable(tf.convert_to_tensor(value), trainable=value.trainable, name=name)
        )

    def _symbol(self, value: keras.KerasTensor) -> keras.KerasTensor:
        return self._calls.symbol(value)

    def _node(self, value: Node) -> Node:
        return self._calls.node(value)

    def _operation(self, value: keras.Operation) -> keras.Operation:
        if hasattr(value, "tfopt_copy"):  # runs another library's model, whose inside is not ours to read
            return self._remember(value, value.tfopt_copy())
        new = self._remember(value, _keras_objects.empty_operation(value))
        skipped = {*_keras_objects.OF_THE_OBJECT}
        if isinstance(value, keras.Model):
            skipped |= {*_keras_objects.COMPILED}
            vars(new).update(_keras_objects.uncompiled())
            for name in _keras_objects.COMPILED:
                if isinstance(state := vars(value).get(name), (keras.Operation, keras.metrics.Metric)):
                    self._remember(state, _DROPPED)
        # From the inputs on, for a walk back from the outputs would be as deep as the model.
        for nodes in _keras_objects.recorded_calls(value):
            self._all(nodes)
        for name, each in vars(value).items():
            if name not in skipped and (copied := self._copy(each)) is not _DROPPED:
                vars(new)[name] = copied
        self._calls.add_model(new)
        return new

    def _tracker(self, value: Tracker) -> Tracker:
        return _keras_objects.copied_tracker(value, self._copy, self._remember)

    def _list(self, value: list) -> list:
        new = self._remember(value, _empty(list, value))
        list.extend(new, self._all(value))
        return self._with_attributes(value, new)

    def _set(self, value: set) -> set:
        new = self._remember(value, _empty(set, value))
        set.update(new, self._all(value))
        return self._with_attributes(value, new)

    def _dict(self, value: dict) -> dict:
        new = self._remember(value, _empty(dict, value))
        if isinstance(value, collections.defaultdict):
            new.default_factory = self._copy(value.default_factory)
        for key, each in value.items():
            copied = self._copy(each)
            if copied is not _DROPPED:
                dict.__setitem__(new, self._copy(key), copied)
        return self._with_attributes(value, new)

    def _tuple(self, value: Any) -> Any:
        if not issubclass(type(value), tuple):  # TensorFlow's proxy of a named one
            return self._copy(value.__wrapped__)
        copies = self._all(value)
        if len(copies) == len(value) and all(map(_is, copies, value)):
            return value
        if type(value) is tuple:
            return self._remember(value, tuple(copies))
        if len(copies) < len(value):  # a reference by name to what is dropped
            return _DROPPED
        return self._remember(value, tuple.__new__(type(value), copies))

    def _with_attributes(self, value: Any, new: Any) -> Any:
        """Give a subclass of a container, such as those that Keras tracks, its attributes."""
        attributes = getattr(value, "__dict__", {}) if type(new) is type(value) else {}
        for name, each in attributes.items():
            vars(new)[name] = self._copy(each)
        return new

    def _method(self, value: types.MethodType) -> types.MethodType:
        owner = self._copy(value.__self__)
        return value if owner is value.__self__ else types.MethodType(value.__func__, owner)

    def _partial(self, value: functools.partial) -> functools.partial:
        if not holds_state(value):
            return value
        parts = [self._copy(each) for each in (value.func, value.args, value.keywords)]
        return functools.partial(parts[0], *parts[1], **parts[2])

    def _function(self, value: types.FunctionType) -> types.FunctionType:
        if not holds_state(value):
            return value
        cells = tuple(types.CellType() for _ in value.__closure__ or ())
        new = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
        self._remember(value, new)
        functools.update_wrapper(new, value)
        vars(new).pop("__wrapped__", None)
        vars(new).update({name: self._copy(each) for name, each in vars(value).items()})
        new.__defaults__, new.__kwdefaults__ = (
            self._copy(value.__defaults__),
            self._copy(value.__kwdefaults__),
        )
        for cell, old in zip(cells, value.__closure__ or (), strict=True):
            cell.cell_contents = self._copy(old.cell_contents)
        return new

    def _compiled_function(self, value: tf.types.experimental.PolymorphicFunction) -> Any:
        """Copy what `tf.function` returned, around the copy of its code."""
        python = value.python_function
        copied = self._copy(python)
        return value if copied is python else self._remember(value, _tensorflow.around(copied, value))

    def _constraint(self, value: keras.constraints.Constraint) -> keras.constraints.Constraint:
        """Copy a constraint: a variable that is shared has its own, and the layer the very same."""
        return value if self._share else self._object(value)

    def _object(self, value: Any) -> Any:
        if not hasattr(value, "__dict__") or not holds_state(value):
            return value
        new = self._remember(value, object.__new__(type(value)))
        for name, each in vars(value).items():
            if (copied := self._copy(each)) is not _DROPPED:
                vars(new)[name] = copied
        return new

    _RULES: tuple[tuple[Any, Any], ...] = (
        ((type(None), bool, int, float, complex, str, bytes, type, types.ModuleType), _same),
        ((tf.Tensor, tf.DType, np.dtype, np.generic), _same),
        (keras.DTypePolicy, _policy),
        (np.ndarray, _array),
        (keras.Variable, _variable),
        (tf.Variable, _raw_variable),
        (keras.constraints.Constraint, _constraint),
        (keras.KerasTensor, _symbol),
        (Node, _node),
        (keras.optimizers.Optimizer, _dropped),
        (keras.Operation, _operation),
        (Tracker, _tracker),
        (list, _list),
        (set, _set),
        (dict, _dict),
        (tuple, _tuple),
        (types.MethodType, _method),
        (functools.partial, _partial),
        (types.FunctionType, _function),
        (tf.types.experimental.PolymorphicFunction, _compiled_function),
    )
    """Types -> how they are copied; the first that fits counts, then `_object`."""


def _empty(base: Any, value: Any) -> Any:
    """Return an empty container of the class of `value`; a plain one in place of a library's proxy."""
    kind: Any = type(value) if issubclass(type(value), base) else base
    foreign = kind.__module__.split(".")[0] == "tensorflow"
    return base() if foreign else kind.__new__(kind)


def _is(one: Any, other: Any) -> bool:
    return one is other
