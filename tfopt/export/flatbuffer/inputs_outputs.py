"""The inputs and outputs of a file, as whoever runs it sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfopt.export.flatbuffer.fields import operator_name, per_tensor, text, type_name

SIGNATURE = "serving_default"
"""The key of the signature in which a file lists its inputs and outputs."""

OPEN_SIZE = 64
"""The size with which a dimension that a file leaves open is run where there is no data."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a file.

    Attributes:
        name: what the Keras model called it.
        index: its number among the file's tensors.
        shape: with the batch size in front; None for another size that whoever runs the file chooses.
        dtype: such as `"int8"`.
        scale, zero_point: real = scale * (integer - zero_point); `None` where it is not quantized.
        step: its scale, which is its LSB; of a float output that was dequantized, that of the integers.
            `None` for what was computed in float.
    """

    name: str
    index: int
    shape: tuple[int | None, ...]
    dtype: str
    scale: float | None
    zero_point: int | None
    step: float | None

    @property
    def batch_size(self) -> int:
        """How many samples it holds at once."""
        return (self.shape[0] or 1) if self.shape else 1


def inputs_and_outputs(model: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and outputs of a file, in its order.

    A file without a signature calls them by the names of its tensors.
    """
    graph = model.subgraphs[0]
    signatures = [each for each in model.signatureDefs or [] if each.subgraphIndex == 0]
    if signatures:
        sides = (signatures[0].inputs or [], signatures[0].outputs or [])
        named = [[(text(entry.name), entry.tensorIndex) for entry in entries] for entries in sides]
    else:
        named = [[(text(graph.tensors[i].name), i) for i in ids] for ids in (graph.inputs, graph.outputs)]
    made_by = {index: operator for operator in graph.operators or [] for index in operator.outputs}
    inputs, outputs = (tuple(_spec(model, made_by, *each) for each in entries) for entries in named)
    return inputs, outputs


def _spec(model: Any, made_by: dict[int, Any], name: str, index: int) -> TensorSpec:
    tensors = model.subgraphs[0].tensors
    tensor = tensors[index]
    scale, zero_point = per_tensor(tensor)
    step = scale
    operator = made_by.get(index)
    if operator is not None and operator_name(model, operator) == "DEQUANTIZE":
        step = per_tensor(tensors[operator.inputs[0]])[0]
    sizes = [] if tensor.shape is None else list(map(int, tensor.shape))
    signature = sizes if tensor.shapeSignature is None else list(map(int, tensor.shapeSignature))
    shape = (*sizes[:1], *(None if size < 0 else size for size in signature[1:]))
    return TensorSpec(name, int(index), shape, type_name(tensor), scale, zero_point, step)
