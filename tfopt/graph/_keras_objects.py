"""The parts of Keras's objects, for copies of them that need no config.

`get_config` describes what a constructor took; what a layer *is* stands in its attributes, and Keras gives no
public way to copy these. This module knows which of them belong to the object itself (its calls, the losses
of these), which were set by `compile`, and how variables, symbolic tensors, calls and trackers are put
together. All of it is so in Keras 3.10 to 3.15, but
`_compiled_trainable_state`, which 3.15 has brought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow.trainer import TensorFlowTrainer
from keras.src.ops.function import make_node_key
from keras.src.ops.node import KerasHistory, Node
from keras.src.utils.tracking import Tracker

COMPILED = (
    *("optimizer", "loss", "compiled", "_compile_loss", "_compile_metrics", "_loss_tracker"),
    *("_compile_config", "_compiled_trainable_state", "_jit_compile", "_run_eagerly", "_initial_epoch"),
    *("train_function", "test_function", "predict_function", "steps_per_execution", "stop_training"),
    *("history", "_distribute_strategy"),
)
"""The attributes of a model that `compile` and `fit` set."""

OF_THE_OBJECT = (
    "build",
    "quantize",
    "_inbound_nodes",
    "_outbound_nodes",
    "_losses",
    "_loss_ids",
    "_losses_override",
)
"""The attributes of a layer that belong to the object: wrapped methods, its calls, their losses."""

Copy = Callable[[Any], Any]
"""Returns the copy of anything."""
Remember = Callable[[Any, Any], Any]
"""Notes the copy of an object before its parts are copied, and returns it."""


def empty_operation(operation: keras.Operation) -> Any:
    """Return an operation of the same class that was never called and holds nothing yet."""
    base = keras.Layer if isinstance(operation, keras.Layer) else keras.Operation
    new = base.__new__(type(operation))
    vars(new).update(_inbound_nodes=[], _outbound_nodes=[])
    if isinstance(operation, keras.Layer):
        vars(new).update(_losses=[], _loss_ids=set(), _losses_override=[])
    return new


def uncompiled() -> dict[str, Any]:
    """Return the attributes of a model that is not compiled, of the current distribution strategy."""
    trainer = type("_Trainer", (TensorFlowTrainer,), {})()
    return {name: value for name, value in vars(trainer).items() if name in COMPILED}


def copied_variable(value: keras.Variable, dtype: str, copy: Copy, remember: Remember) -> keras.Variable:
    """Return a variable of the same class, attributes and values, of a type that may be another."""
    new: Any = remember(value, object.__new__(type(value)))
    held = {name: each for name, each in vars(value).items() if name != "_value"}
    vars(new).update({name: copy(each) for name, each in held.items()}, _value=None)
    new._dtype = dtype
    if value._value is not None:
        new._initialize(tf.cast(tf.convert_to_tensor(value._value), dtype))
    return new


def copied_tracker(value: Tracker, copy: Copy, remember: Remember) -> Tracker:
    """Return what notes the variables and layers that are set as attributes, with the copies of these."""
    new: Any = remember(value, object.__new__(Tracker))
    vars(new).update(vars(value))
    new.config = {name: (test, copy(store)) for name, (test, store) in value.config.items()}
    new.stored_ids = {name: {id(each) for each in store} for name, (_, store) in new.config.items()}
    return new


def recorded_calls(operation: keras.Operation) -> Iterator[list[Node]]:
    """Yield the calls in a functional model, from the inputs on; nothing for what is no such model."""
    for _, nodes in sorted(getattr(operation, "_nodes_by_depth", {}).items(), reverse=True):
        yield nodes


class CopiedCalls:
    """The calls of operations that are copied, which are wired when all of the operations are.

    Args:
        copy: copies what calls and tensors hold.
        remember: notes copies.
    """

    def __init__(self, copy: Copy, remember: Remember) -> None:
        self._copy, self._remember = copy, remember
        self._calls: list[tuple[Node, Node]] = []
        self._models: list[Any] = []
        self._symbols: list[tuple[keras.KerasTensor, keras.KerasTensor]] = []

    def symbol(self, value: keras.KerasTensor) -> keras.KerasTensor:
        """Return the copy of a symbolic tensor, and copy the call that made it."""
        new: Any = self._remember(value, object.__new__(type(value)))
        held = {name: each for name, each in vars(value).items() if name != "_keras_history"}
        vars(new).update({name: self._copy(each) for name, each in held.items()})
        history = getattr(value, "_keras_history", None)
        if history is not None:
            new._keras_history = history
            self._symbols.append((value, new))
            if history.operation is not None:
                self._copy(history.operation._inbound_nodes[history.node_index])
        return new

    def node(self, value: Node) -> Node:
        """Return the copy of a call, with its operation, arguments and outputs."""
        new: Any = self._remember(value, object.__new__(Node))
        self._calls.append((value, new))
        arguments: Any = object.__new__(type(value.arguments))
        vars(arguments).update({name: self._copy(each) for name, each in vars(value.arguments).items()})
        new.operation, new.is_input = self._copy(value.operation), value.is_input
        new.arguments, new.outputs = arguments, [self._copy(each) for each in value.outputs]
        return new

    def add_model(self, model: Any) -> None:
        """Note a copied model, which knows the calls in it by keys of addresses if it is functional."""
        if "_nodes_by_depth" in vars(model):
            self._models.append(model)

    def wire(self, copies: Mapping[int, Any]) -> None:
        """Give operations the calls that were copied, and tensors their place among these.

        Args:
            copies: `id` of what was copied -> its copy.
        """
        for old, new in sorted(self._calls, key=lambda pair: _index(pair[0])):
            new.operation._inbound_nodes.append(new)
            for tensor in old.arguments.keras_tensors:
                if (source := tensor._keras_history.operation) is not None:
                    copies[id(source)]._outbound_nodes.append(new)
        for old, new in self._symbols:
            operation, index, position = old._keras_history
            if operation is not None:
                node = copies[id(operation._inbound_nodes[index])]
                operation, index = node.operation, _index(node)
            new._keras_history = KerasHistory(operation, index, position)
        for model in self._models:
            calls = (node for nodes in model._nodes_by_depth.values() for node in nodes)
            model._nodes = {make_node_key(node.operation, _index(node)) for node in calls}
        self._calls, self._models, self._symbols = [], [], []


def _index(node: Node) -> int:
    return next(index for index, each in enumerate(node.operation._inbound_nodes) if each is node)
