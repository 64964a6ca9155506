"""Whether a file is what was planned, tensor by tensor.

A converter may leave out a rounding, take another scale for a tensor, or compute in integers what was to stay
in float: the file then is another model than the one that was trained, often by little and sometimes by all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.fields import per_tensor, scales_of, text, type_name
from tfopt.export.flatbuffer.file import Call, ParsedFile
from tfopt.export.flatbuffer.tensor_names import LAYER_END, layers_in
from tfopt.export.int16.activations import FLOAT_FOR_INT16
from tfopt.export.keras_graph.expected_tensors import FLOAT, FilePlan, Grid
from tfopt.export.passes.float_weights import rounded_weights

_INTEGERS = ("int8", "int16", "uint8")
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")
MOVES = (
    *("BROADCAST_TO", "CONCATENATION", "DEPTH_TO_SPACE", "EXPAND_DIMS", "GATHER", "GATHER_ND", "PACK", "PAD"),
    *("PADV", "RESHAPE", "REVERSE_V2", "SLICE", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE"),
    *("STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK"),
)
"""Operators that pass values on as they are: before or after a rounding makes no difference."""
_VIEWS = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE", "TRANSPOSE")
"""Those that LiteRT runs in the scale of their input, and that may come before a rounding to another."""
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Difference:
    """A tensor of the file that is not as planned.

    Attributes:
        layer: that its name tells of.
        tensor: its name in the file; `""` where the file has none.
        operator: that makes it.
        planned: its grid in the plan; several where the layer has tensors of several grids.
        found: its grid in the file; None where the file has no such tensor.
    """

    layer: str
    tensor: str
    operator: str
    planned: tuple[Grid, ...]
    found: Grid | None

    def __str__(self) -> str:
        planned = " or ".join(map(str, self.planned))
        where = f" (operator {self.operator}, tensor {self.tensor!r})" if self.tensor else ""
        found = "has no such tensor" if self.found is None else f"has {self.found}"
        return f"{self.layer!r} was planned as {planned}, the file {found}{where}"


def require_planned(file: ParsedFile, plan: FilePlan) -> bool:
    """Raise where a file is not what was planned; return False, for the check changes nothing.

    Args:
        file: to compare.
        plan: of its tensors.

    Raises:
        ConversionError: a tensor has another type, scale or zero point. It names layer, planned and found.
    """
    found = differences(file, plan)
    if found:
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        layer = found[0].layer.split(" + ")[0]
        raise ConversionError(
            "The converter wrote another model than the one that was trained: "
            f"{'; '.join(map(str, found[:3]))}{more}. Leave the layer in float with "
            f"rules={{{layer!r}: None}} in quantize_aware, or write it in other operations."
        )
    return False


def differences(file: ParsedFile, plan: FilePlan) -> list[Difference]:
    """Return where a file is not what was planned.

    Args:
        file: to compare.
        plan: of its tensors; one without quantizers says nothing.
    """
    if not plan.quantizers:
        return []
    found: list[Difference] = []
    for graph in file.graphs:
        for index in map(int, graph.inputs):
            found += _of_tensor(graph.tensors[index], "INPUT", plan)
    for call in file.calls():
        for index in map(int, call.operator.outputs):
            found += _of_tensor(call.graph.tensors[index], call.name, plan)
        found += _of_weights(file, call, plan)
    grids = (_grid(tensor) for graph in file.graphs for tensor in graph.tensors)
    present = {grid for grid in grids if grid is not None}
    found += [*_missing(present, plan), *_of_outputs(file.model, plan)]
    return found


def _of_tensor(tensor: Any, operator: str, plan: FilePlan) -> Iterator[Difference]:
    grid, name = _grid(tensor), text(tensor.name)
    named = all(LAYER_END in part for part in name.split(";"))  # operations outside layers have no name
    layers = [layer for layer in layers_in(name) if layer in plan.layers] if named else []
    if grid is None or (grid == FLOAT and (operator in (*_CONVERSIONS, *MOVES) or not layers)):
        return
    if grid == FLOAT:
        planned = frozenset[Grid]().union(*(plan.layers[layer] for layer in layers))
        int16 = operator in FLOAT_FOR_INT16 and any(each.dtype == "int16" for each in planned)
        if FLOAT not in planned and not int16:
            yield Difference(" + ".join(layers), name, operator, tuple(sorted(planned)), grid)
        return
    if operator in _VIEWS and _among(grid, plan.all):  # the converter rounds before what only moves values
        return
    if layers and operator != "QUANTIZE" and all(plan.in_float(layer) for layer in layers):
        yield Difference(" + ".join(layers), name, operator, (FLOAT,), grid)
        return
    planned = frozenset[Grid]().union(*(plan.layers[layer] for layer in layers)) if layers else plan.all
    if operator == "QUANTIZE":  # for readers of another width too; 8 bits fit into 16 of the same scale
        held = {Grid("int16", each.scale) for each in plan.all if each.dtype == "int8"}
        if _among(grid, plan.all | held):
            return
    if not _among(grid, planned):
        yield Difference(" + ".join(layers) or name, name, operator, tuple(sorted(planned)), grid)


def _of_weights(file: ParsedFile, call: Call, plan: FilePlan) -> Iterator[Difference]:
    """Yield the integer constants of operators that were to compute in float."""
    for index in rounded_weights(file, call, plan):
        tensor = call.graph.tensors[index]
        name, found = text(tensor.name), Grid(type_name(tensor), float(scales_of(tensor)[0]))
        yield Difference(" + ".join(layers_in(name)), name, call.name, (FLOAT,), found)


def _missing(present: set[Grid], plan: FilePlan) -> Iterator[Difference]:
    for layer, grids in plan.quantizers.items():
        for grid in grids:
            if not _among(grid, present):
                yield Difference(layer, "", "", (grid,), None)


def _of_outputs(model: Any, plan: FilePlan) -> Iterator[Difference]:
    graph = model.subgraphs[0]
    for index, planned in zip(graph.outputs, plan.outputs, strict=False):
        tensor = graph.tensors[int(index)]
        grid = _grid(tensor)
        if grid is None or grid == FLOAT or not planned or _among(grid, planned):
            continue
        name = text(tensor.name)
        yield Difference(" + ".join(layers_in(name)), name, "OUTPUT", tuple(sorted(planned)), grid)


def _grid(tensor: Any) -> Grid | None:
    """Return what a tensor is on; None for what holds no real numbers, or has a scale a channel."""
    dtype = type_name(tensor)
    if dtype == "float32":
        return FLOAT
    scale, zero_point = per_tensor(tensor)
    if dtype not in _INTEGERS or scale is None or zero_point is None:
        return None
    return Grid(dtype, scale, zero_point)


def _among(grid: Grid, planned: Iterable[Grid]) -> bool:
    return any(
        grid.dtype == each.dtype
        and grid.zero_point == each.zero_point
        and np.isclose(grid.scale, each.scale, rtol=_TOLERANCE, atol=0)
        for each in planned
    )
