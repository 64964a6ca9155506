"""Making new models from the graph of an old one."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import keras

from tfopt.graph import _keras
from tfopt.graph.layers.constant import Constant
from tfopt.graph.layers.program import Program
from tfopt.graph.layers.recurrence import Recurrence
from tfopt.graph.rewriting.decompose import Opener
from tfopt.graph.structural_copy import StructuralCopy
from tfopt.graph.walk import (
    Node,
    as_node,
    called_with,
    layers,
    require_built,
    require_functional,
    tensors_in,
)

Emit = Callable[[Node, tuple, dict[str, Any]], Any]
"""Called for each node with new tensors in place of the old; returns the outputs, in the same structure."""


def copy(model: keras.Model, *, share_variables: bool = False) -> keras.Model:
    """Return a model of the same class, structure, names, weights, constraints, state and trainable flags.

    The copy is not compiled. No code of the model runs, and no layer needs a `get_config`; what is not a
    weight, such as adapted statistics and random states, travels with it.

    Args:
        model: any built Keras model.
        share_variables: whether the copy has the variables of `model` itself, for uses that only read them.

    Raises:
        InvalidArgumentError: it is no Keras 3 model, or one that has not been built.
    """
    require_built(model)
    return StructuralCopy(share_variables=share_variables)(model)


def replay(
    model: keras.Model,
    emit: Emit,
    emit_input: Callable[[keras.KerasTensor], keras.KerasTensor] = lambda tensor: tensor,
    emit_output: Callable[[int, keras.KerasTensor], keras.KerasTensor] = lambda _, tensor: tensor,
    opener: Opener | None = None,
    unroll: int | None = None,
    name_loop: Callable[[Node], str] = lambda node: node.path.replace("/", "."),
) -> keras.Model:
    """Run `emit` over the graph of `model` on new inputs and return the model that comes out.

    Nested models are opened: `emit` sees only layers and operations. The inputs and outputs keep their
    structure, shapes and dtypes. `emit_input` returns what the model reads in place of an input,
    `emit_output` what it returns in place of its n-th output. `opener` opens layers and subclassed models;
    without one, these are not allowed in `model`. `emit` sees what runs in a loop too, once, and a loop
    comes of it; or, where `unroll` is given, each step by itself, up to so many, and no loop. `name_loop`
    returns the name of a loop in the new model.
    """
    require_functional(model)
    old_inputs, old_outputs = _keras.structure(model)
    new_inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), old_inputs
    )
    flat = _replay(
        model, [emit_input(x) for x in keras.tree.flatten(new_inputs)], emit, "", opener, (unroll, name_loop)
    )
    flat = [emit_output(index, tensor) for index, tensor in enumerate(flat)]
    return keras.Model(new_inputs, keras.tree.pack_sequence_as(old_outputs, flat), name=model.name)


def unrolled(model: keras.Model, steps: int = sys.maxsize) -> keras.Model:
    """Return a model of the same layers in which loops are unrolled; the model itself where it has none.

    Args:
        model: functional.
        steps: how many of each loop; the steps are alike, so a few show what their tensors are.
    """
    if not any(isinstance(layer, Recurrence) for _, layer in layers(model)):
        return model
    return replay(model, lambda node, args, kwargs: node.operation(*args, **kwargs), unroll=steps)


_Loops: TypeAlias = tuple[int | None, Callable[[Node], str]]


def _replay(
    model: keras.Model, inputs: list[Any], emit: Emit, prefix: str, opener: Opener | None, loops: _Loops
) -> list[Any]:
    old_inputs, old_outputs = map(keras.tree.flatten, _keras.structure(model))
    new: dict[int, Any] = {id(old): tensor for old, tensor in zip(old_inputs, inputs, strict=True)}

    def fill(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        if id(value) not in new:  # a mask that no layer of this graph reads
            run(_keras.call_of(value))
        return new[id(value)]

    def run(call: Any) -> None:
        node = as_node(prefix, *call)
        args, kwargs = keras.tree.map_structure(fill, (node.args, node.kwargs))
        masked = opener is not None and any(_keras.mask_of(tensor) is not None for tensor in node.inputs)
        if isinstance(node.operation, Recurrence):
            results = _replay_loop(node, list(tensors_in(args)), emit, prefix, opener, loops)
        elif _keras.functional(node.operation) is not None and not masked:
            given = [tensor(node, number, x) for number, x in enumerate(called_with(node, args, kwargs))]
            results = _replay(node.operation, given, emit, node.path + "/", opener, loops)
        elif opened := opener and opener(node, args, kwargs, fill):
            results = _replay(*opened, emit, node.path + "/", opener, loops)
        else:
            results = keras.tree.flatten(emit(node, args, kwargs))
        new.update({id(old): result for old, result in zip(node.outputs, results, strict=True)})

    def tensor(node: Node, number: int, value: Any) -> Any:
        """Return what a nested model is called with; an array or a variable becomes a layer."""
        if isinstance(value, keras.KerasTensor):
            return value
        name = f"constant_{number}"
        constant = Constant.of(value, name)
        reference = next(iter(tensors_in((node.args, node.kwargs))))
        args = (fill(reference),)
        output = constant(reference)
        return emit(Node(f"{node.path}/{name}", constant, args, {}, (reference,), (output,)), args, {})

    for call in _keras.calls(model):
        if any(id(output) not in new for output in call[-1]):
            run(call)
    return [new[id(x)] for x in old_outputs]


def _replay_loop(
    node: Node, inputs: list[Any], emit: Emit, prefix: str, opener: Opener | None, loops: _Loops
) -> list[Any]:
    loop: Any = node.operation
    steps, name = loops

    def run(program: Program, tensors: list[Any]) -> list[Any]:
        new = {id(old): tensor for old, tensor in zip(program.inputs, tensors, strict=True)}

        def fill(value: Any) -> Any:
            return new[id(value)] if isinstance(value, keras.KerasTensor) else value

        for node in program.nodes(prefix):
            args, kwargs = keras.tree.map_structure(fill, (node.args, node.kwargs))
            if opened := opener and opener(node, args, kwargs, fill):
                results = _replay(*opened, emit, node.path + "/", opener, loops)
            else:
                results = keras.tree.flatten(emit(node, args, kwargs))
            new.update({id(old): result for old, result in zip(node.outputs, results, strict=True)})
        return [new[id(old)] for old in program.outputs]

    if steps is None:
        return loop.replayed(run, name(node))(inputs)
    numbers = itertools.count()

    def named(tensors: Any) -> Any:
        call: Any = _keras.call_of(keras.tree.flatten(tensors)[0])
        operation = call[0]
        operation.name = f"{name(node)}.{type(operation).__name__.lower()}_{next(numbers)}"
        return tensors

    def left(tensor: Any) -> Any:
        # What the last step makes is fused with nothing behind it, as in the steps before.
        return keras.layers.Identity(name=f"{name(node)}.identity_{next(numbers)}")(tensor)

    return loop.run(inputs, run, steps, named, left)


class Copier:
    """Copies operations out of a model, each once, so that a shared layer stays shared.

    A path such as `block/conv` becomes the name `block.conv`, for Keras allows no `/` in names.

    Args:
        change: called with each copied layer, and the layers in it, before it is used.
        suffixes: path -> what to append to that layer's name.
        share_variables, in_float32: as `StructuralCopy` takes them.
    """

    def __init__(
        self,
        change: Callable[[keras.Layer], None] = lambda _: None,
        suffixes: Mapping[str, str] = MappingProxyType({}),
        *,
        share_variables: bool = False,
        in_float32: bool = False,
    ) -> None:
        self._change = change
        self._suffixes = suffixes
        self._structural = StructuralCopy(share_variables=share_variables, in_float32=in_float32)
        self._named: set[int] = set()

    def __call__(self, node: Node) -> keras.Operation:
        """Return the copy of the node's operation, with its weights."""
        copied = self._structural(node.operation)
        if id(copied) not in self._named:
            self._named.add(id(copied))
            copied.name = self.name(node)
            for layer in _with_sublayers(copied):
                self._change(layer)
        return copied

    def name(self, node: Node) -> str:
        """Return the name of the copy."""
        return node.path.replace("/", ".") + self._suffixes.get(node.path, "")


def _with_sublayers(operation: keras.Operation) -> list[keras.Layer]:
    return [operation, *_keras.sublayers(operation)] if isinstance(operation, keras.Layer) else []
