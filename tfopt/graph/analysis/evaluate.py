"""Running a functional model operation by operation, with a look at every tensor in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfopt.graph import _keras
from tfopt.graph.walk import as_node, called_with, require_functional


@dataclasses.dataclass(frozen=True)
class EvaluatedStep:
    """One tensor that a model computes.

    Attributes:
        number: its place in the order of computation, the same in every run; the inputs come first.
        path: the names of the nested models and of the operation that makes it, joined by `/`; of an input,
            its name.
        operation: what makes it; `None` for an input.
        sources: the numbers of the tensors that it is made from.
    """

    number: int
    path: str
    operation: keras.Operation | None
    sources: tuple[int, ...]


Visit = Callable[[EvaluatedStep, Any], Any]
"""Called with every tensor that was computed; what it returns goes on in its place."""


def evaluate(model: keras.Model, inputs: Sequence[Any], visit: Visit) -> list[EvaluatedStep]:
    """Run `model` at inference and return its outputs as steps.

    Args:
        model: built Sequential or functional; models in it are flattened.
        inputs: one array an input, in the model's order, samples first.
        visit: sees every tensor, and may replace it. Masks of sequences stay with what replaces it.

    Raises:
        UnsupportedModel: the model is subclassed.
    """
    require_functional(model)
    return _Evaluation(visit).run(model, inputs)


class _Evaluation:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._count = 0

    def run(self, model: keras.Model, inputs: Sequence[Any]) -> list[EvaluatedStep]:
        given = keras.tree.flatten(_keras.structure(model)[0])
        tensors = [
            self._made(x.name, None, (), keras.ops.convert_to_tensor(array, dtype=x.dtype))
            for x, array in zip(given, inputs, strict=True)
        ]
        return [step for step, _ in self._run(model, tensors, "")]

    def _made(
        self, path: str, operation: keras.Operation | None, sources: tuple[int, ...], value: Any
    ) -> tuple[EvaluatedStep, Any]:
        step = EvaluatedStep(self._count, path, operation, sources)
        self._count += 1
        return step, _keras.with_mask_of(value, self._visit(step, value))

    def _constant(self, path: str, value: Any) -> tuple[EvaluatedStep, Any]:
        """Return an array or a variable that a nested model is called with; nobody sees it."""
        step = EvaluatedStep(self._count, f"{path}/constant", None, ())
        self._count += 1
        return step, keras.ops.convert_to_tensor(value)

    def _run(
        self, model: keras.Model, inputs: list[tuple[EvaluatedStep, Any]], prefix: str
    ) -> list[tuple[EvaluatedStep, Any]]:
        old_inputs, old_outputs = map(keras.tree.flatten, _keras.structure(model))
        known = {id(old): made for old, made in zip(old_inputs, inputs, strict=True)}

        def fill(value: Any) -> Any:
            return known[id(value)][1] if isinstance(value, keras.KerasTensor) else value

        for call in _keras.calls(model):
            node = as_node(prefix, *call)
            read = [known[id(x)] for x in node.inputs]
            if getattr(node.operation, "tfopt_identity", False):
                results = read[:1]  # no tensor of its own
            elif node.nested is not None:
                given = called_with(node, node.args, node.kwargs)
                nested = [known[id(x)] if id(x) in known else self._constant(node.path, x) for x in given]
                results = self._run(node.operation, nested, node.path + "/")
            else:
                args, kwargs = keras.tree.map_structure(fill, (node.args, node.kwargs))
                values = keras.tree.flatten(node.operation(*args, **kwargs))
                sources = tuple(step.number for step, _ in read)
                results = [self._made(node.path, node.operation, sources, value) for value in values]
            known.update({id(old): result for old, result in zip(node.outputs, results, strict=True)})
        return [known[id(x)] for x in old_outputs]
