"""Which operators of a file of integers compute in float, and why: for the log."""

from __future__ import annotations

import logging

from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.flatbuffer.file import Call, ParsedFile
from tfopt.export.flatbuffer.summary import CONVERSIONS, FLOATS
from tfopt.export.int16.activations import FLOAT_FOR_INT16
from tfopt.export.keras_graph.expected_tensors import FilePlan
from tfopt.export.passes.check_plan import MOVES
from tfopt.export.xnnpack.lower import LOWERINGS

logger = logging.getLogger(__name__)


def log_float_operators(file: ParsedFile, plan: FilePlan, *, float_where_faster: bool) -> bool:
    """Log which operators compute in float, and why; return False, for that changes nothing.

    Args:
        file: to look at.
        plan: of its tensors; an empty one says nothing.
        float_where_faster: whether operators were lowered to float.
    """
    for call in file.calls():
        results = [call.graph.tensors[int(index)] for index in call.operator.outputs]
        if call.name not in CONVERSIONS and any(type_name(tensor) in FLOATS for tensor in results):
            reason = _reason(call, plan, float_where_faster=float_where_faster)
            logger.info("%s of %s computes in float: %s", call.name, " + ".join(call.layers), reason)
    return False


def _reason(call: Call, plan: FilePlan, *, float_where_faster: bool) -> str:
    planned = [layer for layer in call.layers if layer in plan.layers]
    if planned and all(plan.in_float(layer) for layer in planned):
        return "the plan leaves it in float"
    if call.name in MOVES:
        return "it passes floats on"
    if float_where_faster and call.name in LOWERINGS:
        return "XNNPACK is faster in float"
    if call.name in FLOAT_FOR_INT16:
        return "its int16 kernel in LiteRT is inexact"
    return "the engine has no integer kernel for it"
