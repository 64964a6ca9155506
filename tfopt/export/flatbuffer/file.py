"""A TFLite file that is parsed once, edited by passes, and serialized once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tfopt.export.flatbuffer.fields import operator_name, text
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.tensor_names import layers_in
from tfopt.export.flatbuffer.write import serialize


class Call(NamedTuple):
    """An operator and where it is in a file.

    Attributes:
        graph: the `SubGraphT` that it is a part of.
        operator: the `OperatorT`.
        name: such as `"CONV_2D"`.
    """

    graph: Any
    operator: Any
    name: str

    @property
    def layers(self) -> list[str]:
        """The paths of the Keras layers that the names of its outputs tell of."""
        names = [text(self.graph.tensors[int(index)].name) for index in self.operator.outputs]
        return list(dict.fromkeys(layer for name in names for layer in layers_in(name)))


class ParsedFile:
    """A TFLite file as an object to edit.

    Args:
        content: of the file.
        source: what an error message calls it.

    Attributes:
        model: the file as a `ModelT`, whose fields follow TFLite's schema. Whoever edits it calls
            `mark_changed`, as `tfopt.export.passes.run.run_passes` does for a pass.

    Raises:
        InvalidArgumentError: this is no TFLite file, or only a part of one.
    """

    def __init__(self, content: bytes, source: str = "The content") -> None:
        self.model = parse(content, source)
        self._content: bytes | None = content

    @property
    def graphs(self) -> list[Any]:
        """The graphs of the file; the first is the main one."""
        return list(self.model.subgraphs)

    def calls(self) -> Iterator[Call]:
        """Yield the operators of all graphs in order, without those that are added to a graph meanwhile."""
        for graph in self.graphs:
            for operator in list(graph.operators or []):
                yield Call(graph, operator, operator_name(self.model, operator))

    def mark_changed(self) -> None:
        """Note that `model` is no longer what was parsed."""
        self._content = None

    def serialize(self) -> bytes:
        """Return the content of the file: the very bytes that were parsed where nothing has changed."""
        if self._content is None:
            self._content = serialize(self.model)
        return self._content
