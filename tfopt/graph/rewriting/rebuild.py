"""Making new models from the graph of an old one."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras

from tfopt.graph import _keras
from tfopt.graph.layers.constant import Constant
from tfopt.graph.layers.program import Program
from tfopt.graph.layers.recurrence import Recurrence
from tfopt.graph.rewriting.decompose import Decomposer
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
    decomposer: Decomposer | None = None,
    unroll: int | None = None,
    name_loop: Callable[[Node], str] = lambda node: node.path.replace("/", "."),
) -> keras.Model:
    """Run `emit` over the graph of `model` on new inputs and return the model that comes out.

    Nested models are flattened: `emit` sees only layers and operations. The inputs and outputs keep their
    structure, shapes and dtypes.

    Args:
        model: functional, or a built Sequential.
        emit: returns the outputs of a call in the new model.
        emit_input: returns what the model reads in place of an input.
        emit_output: returns what the model returns in place of its n-th output.
        decomposer: decomposes layers and subclassed models; without one, the latter are not allowed.
        unroll: how many steps of a loop `emit` sees one by one, so that the new model has no loop. Without
            it, `emit` sees what runs in a loop once, and the new model has a loop.
        name_loop: returns the name of a loop in the new model.
    """
    require_functional(model)
    old_inputs, old_outputs = _keras.structure(model)
    new_inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), old_inputs
    )
    run = _Replay(emit, decomposer, unroll, name_loop)
    flat = run.model(model, [emit_input(x) for x in keras.tree.flatten(new_inputs)], "")
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


@dataclasses.dataclass(frozen=True)
class _Replay:
    """Runs `emit` over models and the loops in them; the fields are the arguments of `replay`.

    A `prefix` is the path of the model that calls stand in.
    """

    emit: Emit
    decomposer: Decomposer | None
    unroll: int | None
    name_loop: Callable[[Node], str]

    def model(self, model: keras.Model, inputs: list[Any], prefix: str) -> list[Any]:
        """Return what `model` returns for new inputs, flat."""
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
            results = self._call(node, args, kwargs, fill, prefix)
            new.update({id(old): result for old, result in zip(node.outputs, results, strict=True)})

        for call in _keras.calls(model):
            if any(id(output) not in new for output in call[-1]):
                run(call)
        return [new[id(x)] for x in old_outputs]

    def _call(
        self, node: Node, args: tuple, kwargs: dict[str, Any], fill: Callable[[Any], Any], prefix: str
    ) -> list[Any]:
        """Return the outputs of one call; `fill` returns the new tensor in the place of an old one."""
        if isinstance(node.operation, Recurrence):
            return self._loop(node, list(tensors_in(args)), prefix)
        masked = self.decomposer is not None and any(_keras.mask_of(x) is not None for x in node.inputs)
        if _keras.functional(node.operation) is not None and not masked:
            given = [
                self._held(node, number, x, fill) for number, x in enumerate(called_with(node, args, kwargs))
            ]
            return self.model(node.operation, given, node.path + "/")
        return self._operation(node, args, kwargs, fill)

    def _operation(
        self, node: Node, args: tuple, kwargs: dict[str, Any], fill: Callable[[Any], Any]
    ) -> list[Any]:
        """Return the outputs of a call of what is no model and no loop, or of what it is made of."""
        decomposed = self.decomposer and self.decomposer(node, args, kwargs, fill)
        if decomposed:
            return self.model(*decomposed, node.path + "/")
        results = keras.tree.flatten(self.emit(node, args, kwargs | _lost_masks(node, fill)))
        makes_sparse = isinstance(node.operation, keras.Layer) or getattr(node.operation, "sparse", False)
        if not makes_sparse and not any(each.sparse for each in tensors_in((args, kwargs))):
            for each in tensors_in(results):
                _keras.mark_dense(each)
        return results

    def _held(self, node: Node, number: int, value: Any, fill: Callable[[Any], Any]) -> Any:
        """Return what a nested model is called with; an array or a variable becomes a layer."""
        if isinstance(value, keras.KerasTensor):
            return value
        name = f"constant_{number}"
        constant = Constant.of(value, name)
        reference = next(iter(tensors_in((node.args, node.kwargs))))
        args = (fill(reference),)
        output = constant(reference)
        return self.emit(Node(f"{node.path}/{name}", constant, args, {}, (reference,), (output,)), args, {})

    def _loop(self, node: Node, inputs: list[Any], prefix: str) -> list[Any]:
        """Return what a recurrence returns: a new one, or its steps one after another."""
        loop: Any = node.operation
        name = self.name_loop(node)
        if self.unroll is None:
            return loop.replayed(functools.partial(self._program, prefix), name)(inputs)
        numbers = itertools.count()

        def named(tensors: Any) -> Any:
            call: Any = _keras.call_of(keras.tree.flatten(tensors)[0])
            operation = call[0]
            operation.name = f"{name}.{type(operation).__name__.lower()}_{next(numbers)}"
            return tensors

        def left(tensor: Any) -> Any:
            # What the last step makes is fused with nothing after it, as in the steps before.
            return keras.layers.Identity(name=f"{name}.identity_{next(numbers)}")(tensor)

        return loop.run(inputs, functools.partial(self._program, prefix), self.unroll, named, left)

    def _program(self, prefix: str, program: Program, tensors: list[Any]) -> list[Any]:
        """Return what a step of a loop returns for new tensors."""
        new = {id(old): tensor for old, tensor in zip(program.inputs, tensors, strict=True)}

        def fill(value: Any) -> Any:
            return new[id(value)] if isinstance(value, keras.KerasTensor) else value

        for node in program.nodes(prefix):
            args, kwargs = keras.tree.map_structure(fill, (node.args, node.kwargs))
            results = self._operation(node, args, kwargs, fill)
            new.update({id(old): result for old, result in zip(node.outputs, results, strict=True)})
        return [new[id(old)] for old in program.outputs]


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

    def copied(self, layer: keras.Layer) -> keras.Layer | None:
        """Return the copy of a layer, None where there is none yet."""
        return self._structural.copied(layer)

    def name(self, node: Node) -> str:
        """Return the name of the copy."""
        return node.path.replace("/", ".") + self._suffixes.get(node.path, "")


def _with_sublayers(operation: keras.Operation) -> list[keras.Layer]:
    return [operation, *_keras.sublayers(operation)] if isinstance(operation, keras.Layer) else []


def _lost_masks(node: Node, fill: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the masks that a layer gets with its tensors, where those in their place carry none.

    What a decomposed layer consists of hands no mask on.

    Args:
        node: the call in the old model, whose tensors have the masks.
        fill: returns the new tensor in the place of an old one.
    """
    lost = any(_keras.mask_of(old) is not None and _keras.mask_of(fill(old)) is None for old in node.inputs)
    if not lost or not isinstance(node.operation, keras.Layer):
        return {}
    masked = _keras.with_masks(node.operation, node.args, node.kwargs)
    added = {name: value for name, value in masked.items() if value is not node.kwargs.get(name)}
    filled: dict[str, Any] = keras.tree.map_structure(fill, added)
    return filled
