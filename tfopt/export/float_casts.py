"""Taking the casts out of a file that kept a layer in float while it was written.

`tfopt.quantization.in_float` puts a cast to float64 and back before a layer that the converter would quantize
unasked.
"""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from tfopt.export import compact, flatbuffer


def without_casts(content: bytes) -> bytes:
    """Return the file without the casts from float32 to float64 and back."""
    model = flatbuffer.read(content, "What the converter wrote")
    changed = False
    for graph in model.subgraphs:
        changed = _removed(model, graph) or changed
    return compact.write(model) if changed else content


def _removed(model: Any, graph: Any) -> bool:
    made_of = {
        int(operator.outputs[0]): int(operator.inputs[0])
        for operator in graph.operators or []
        if flatbuffer.operator_name(model, operator) == "CAST"
    }
    kind = {index: tensor.type for index, tensor in enumerate(graph.tensors)}
    double, single = schema.TensorType.FLOAT64, schema.TensorType.FLOAT32
    back = {
        result: made_of[between]
        for result, between in made_of.items()
        if kind[between] == double and kind[result] == single and between in made_of
    }
    outputs = {int(index) for index in graph.outputs}
    back = {result: source for result, source in back.items() if result not in outputs}
    if not back:
        return False
    for operator in graph.operators:
        operator.inputs = [back.get(int(index), int(index)) for index in operator.inputs]
    read = {int(index) for operator in graph.operators for index in operator.inputs} | outputs
    # The cast there has a reader until the cast back is gone.
    for _ in range(2):
        graph.operators = [
            operator
            for operator in graph.operators
            if flatbuffer.operator_name(model, operator) != "CAST" or int(operator.outputs[0]) in read
        ]
        read = {int(index) for operator in graph.operators for index in operator.inputs} | outputs
    return True
