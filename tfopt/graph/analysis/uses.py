"""How the operations of a model use a variable: in a product, as a table, or element by element."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import _keras


class Use(enum.Enum):
    """How a variable is combined with the data."""

    PRODUCT = "multiplied as a matrix or by a convolution"
    DEPTHWISE = "a depthwise kernel, whose channels have few weights each"
    LOOKUP = "looked up row by row"
    ELEMENTWISE = "added, multiplied or put in element by element"


_PRODUCTS = frozenset(
    {
        *("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "SparseMatMul"),
        *("Conv", "Conv2D", "Conv3D", "SparseTensorDenseMatMul"),
        *("Conv2DBackpropInput", "Conv3DBackpropInput", "Conv3DBackpropInputV2"),
        *("XlaConv", "XlaConvV2", "XlaDot", "XlaDotV2"),
    }
)
_DEPTHWISE = frozenset({"DepthwiseConv2dNative"})
_LOOKUPS = frozenset({"Gather", "GatherV2", "GatherNd", "ResourceGather", "ResourceGatherNd"})
_NAMED = {Use.PRODUCT: _PRODUCTS, Use.DEPTHWISE: _DEPTHWISE, Use.LOOKUP: _LOOKUPS}
_CALLS = {"PartitionedCall": "f", "StatefulPartitionedCall": "f", "While": "body", "StatelessWhile": "body"}
"""Operations that run a function of the graph -> the attribute that names it."""
_BRANCHES = {
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
    "Case": ("branches",),
}
_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank", "VariableShape"})
"""Operations that read only how large a tensor is."""

_DATA = -1
Marks = frozenset[int]
"""What a tensor is made from: variables by number, and `_DATA`."""


def uses(model: keras.Model, variables: Sequence[keras.Variable]) -> dict[int, frozenset[Use]] | None:
    """Return `id` of a variable -> what an inference does with it; empty for one that is not read.

    The model is traced once, as a graph of TensorFlow. A variable is followed through all that is done to it
    before it meets the data: casts, transpositions, a normalization of the weights.

    Args:
        model: built; it need not be functional.
        variables: of the model.

    Returns:
        None where the model cannot be traced: it was not built on known shapes.
    """
    graph = _traced(model)
    if graph is None:
        return None
    numbers = {
        id(part.handle): number
        for number, variable in enumerate(variables)
        for part in getattr(variable.value, "values", [variable.value])  # of a strategy, one a replica
    }
    marks = {
        internal.op.name: frozenset({numbers[id(external)]})
        for external, internal in graph.captures
        if id(external) in numbers
    }
    captured = {internal.op.name for _, internal in graph.captures}
    for placeholder in graph.inputs:
        if placeholder.op.name not in captured:
            marks[placeholder.op.name] = frozenset({_DATA})
    reading = _Reading(graph.as_graph_def())
    reading.run(graph.as_graph_def().node, marks)
    return {id(variable): frozenset(reading.found.get(n, ())) for n, variable in enumerate(variables)}


class _Reading:
    """Follows marks through a graph and its functions."""

    def __init__(self, graph: Any) -> None:
        self.functions = {function.signature.name: function for function in graph.library.function}
        self.found: dict[int, set[Use]] = {}
        self._results: dict[tuple[str, tuple[Marks, ...]], list[Marks]] = {}

    def run(self, nodes: Iterable[Any], given: dict[str, Marks]) -> dict[str, list[Marks]]:
        """Return name of a node -> marks of its outputs; of one mark, all have it."""
        made = {name: [marks] for name, marks in given.items()}
        for node in nodes:  # TensorFlow lists them in an order that runs
            if node.name not in made:
                made[node.name] = self._outputs(node, [_marks(made, name) for name in _tensors(node)])
        return made

    def _outputs(self, node: Any, inputs: list[Marks]) -> list[Marks]:
        if node.op in _SIZES:
            return [frozenset()]
        if node.op in _CALLS:
            return self._called(node, inputs)
        if node.op in _BRANCHES:
            return self._branched(node, inputs)
        together = _union(inputs)
        with_data = _DATA in together
        use = next((use for use, names in _NAMED.items() if node.op in names), Use.ELEMENTWISE)
        for position, marks in enumerate(inputs):
            if with_data and _DATA not in marks:
                self._note(marks, use)
            elif use is Use.PRODUCT and not with_data:
                # Of a product that meets no data yet the second factor is the matrix; the first one are rows
                # such as learned tokens, which take the place of data from here on.
                self._note(marks, Use.PRODUCT if position else Use.ELEMENTWISE)
        if use is Use.LOOKUP and not with_data:
            self._note(together, use)
        if use is Use.PRODUCT and not with_data:
            return [_union(inputs[1:])]
        return [frozenset({_DATA}) if with_data else together]

    def _note(self, marks: Marks, use: Use) -> None:
        for number in marks - {_DATA}:
            self.found.setdefault(number, set()).add(use)

    def _called(self, node: Any, inputs: list[Marks]) -> list[Marks]:
        name = node.attr[_CALLS[node.op]].func.name
        results = self._function(name, tuple(inputs))
        if _CALLS[node.op] != "body":
            return results
        while True:  # what one turn of a loop returns, the next one is given
            merged = tuple(a | b for a, b in zip(inputs, results, strict=True))
            if merged == tuple(inputs):
                return results
            inputs, results = list(merged), self._function(name, merged)

    def _branched(self, node: Any, inputs: list[Marks]) -> list[Marks]:
        attributes = [node.attr[name] for name in _BRANCHES[node.op]]
        names = [f.name for a in attributes for f in ([a.func] if a.func.name else a.list.func)]
        branches = [self._function(name, tuple(inputs[1:])) for name in names]
        return [_union(each) for each in zip(*branches, strict=True)]

    def _function(self, name: str, inputs: tuple[Marks, ...]) -> list[Marks]:
        if (name, inputs) not in self._results:
            function = self.functions[name]
            arguments = [argument.name for argument in function.signature.input_arg]
            made = self.run(function.node_def, dict(zip(arguments, inputs, strict=True)))
            self._results[name, inputs] = [
                _marks(made, function.ret[result.name]) for result in function.signature.output_arg
            ]
        return self._results[name, inputs]


def _union(marks: Iterable[Marks]) -> Marks:
    return frozenset[int]().union(*marks)


def _tensors(node: Any) -> list[str]:
    return [name for name in node.input if not name.startswith("^")]


def _place(name: str) -> tuple[str, int]:
    """Return node and output of `node`, `node:1` or, in functions, `node:output:1`."""
    node, *rest = name.split(":")
    return node, int(rest[-1]) if rest else 0


def _marks(made: dict[str, list[Marks]], name: str) -> Marks:
    node, output = _place(name)
    outputs = made.get(node, [frozenset()])
    return outputs[output] if len(outputs) > 1 else outputs[0]


def _traced(model: keras.Model) -> Any:
    """Return the graph of an inference; None where the model cannot be called on symbols."""
    for specs in _signatures(model):
        function = tf.function(lambda x: model(x, training=False), autograph=False)
        try:
            return function.get_concrete_function(specs).graph
        except Exception:  # noqa: BLE001 (users' code on inputs of a dtype that is guessed)
            continue
    return None


def _signatures(model: keras.Model) -> Iterable[Any]:
    if _keras.functional(model) is not None:
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        yield keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
        return
    shapes = _keras.build_shapes(model)
    if shapes is None:
        return
    for dtype in ("float32", "int32"):
        yield _specs(shapes, dtype)


def _specs(shapes: Any, dtype: str) -> Any:
    if isinstance(shapes, dict):
        return {name: _specs(shape, dtype) for name, shape in shapes.items()}
    if shapes and isinstance(shapes[0], (list, tuple)):
        return [_specs(shape, dtype) for shape in shapes]
    return tf.TensorSpec((None, *shapes[1:]), dtype)
