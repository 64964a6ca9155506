"""The recipe of litert-quantizer: which operators of a float file get which integers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.fields import constant, text
from tfopt.export.flatbuffer.file import Call, ParsedFile
from tfopt.export.flatbuffer.tensor_names import LAYER_END
from tfopt.export.litert_quantizer.quantizer import Entry, Mode
from tfopt.export.options import WeightOptions
from tfopt.export.schemes import FILE_SCHEMES

WEIGHTS_AT: Mapping[str, int] = {
    "BATCH_MATMUL": 1,
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "EMBEDDING_LOOKUP": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
}
"""Operators with weights that litert-quantizer can quantize -> which of their inputs these are."""

BLOCKWISE = ("EMBEDDING_LOOKUP", "FULLY_CONNECTED")
"""Operators that LiteRT computes with a scale for each block of weights."""


@dataclass(frozen=True, kw_only=True)
class PlannedOperator:
    """An operator of a file.

    Attributes:
        scope: how litert-quantizer calls it: the names of its outputs, each with a `;` after it.
        name: such as `"CONV_2D"`.
        layer: the path of the Keras layer that it computes; `""` where its names tell of none.
        row: how many weights follow each other in a row of a constant kernel; 0 where it has none.
    """

    scope: str
    name: str
    layer: str
    row: int


def operators(
    file: ParsedFile, layers: Collection[str], with_kernels: Collection[str]
) -> list[PlannedOperator]:
    """Return the operators of a file that `to_tflite` wrote, in its order.

    Args:
        file: to look at.
        layers: the paths of the model's layers.
        with_kernels: those of them that have a kernel. An operator in which several layers are fused is the
            one's that has.
    """
    found = []
    for call in file.calls():
        kernel = _kernel(file, call)
        outputs = [text(call.graph.tensors[index].name) for index in call.operator.outputs]
        names = ";".join(([text(kernel.name)] if kernel is not None else []) + outputs)
        candidates = [each.split(LAYER_END)[0] for each in names.split(";") if LAYER_END in each]
        known = [each for each in candidates if each in layers]
        found.append(
            PlannedOperator(
                scope="".join(f"{output};" for output in outputs),
                name=call.name,
                layer=next((each for each in known if each in with_kernels), next(iter(known), "")),
                row=0 if kernel is None else int(kernel.shape[-1]),
            )
        )
    return found


def entries_of(
    planned: Iterable[PlannedOperator],
    settings: Mapping[str, str],
    default: str,
    dtypes: Mapping[str, str],
    weights: WeightOptions,
) -> list[Entry]:
    """Return the entries of litert-quantizer's recipe, the exceptions after the rule.

    Args:
        planned: the file's operators.
        settings: layer path -> name of its scheme.
        default: the scheme of operators that belong to no layer.
        dtypes: `"INPUT"` and `"OUTPUT"` -> that of the inputs or outputs.
        weights: how weights are brought onto their grid.

    Raises:
        InvalidArgumentError: the algorithm is not for one of the schemes.
    """
    by_scheme: dict[str, list[PlannedOperator]] = {default: []}
    for operator in planned:
        by_scheme.setdefault(settings.get(operator.layer, default), []).append(operator)
    entries = []
    for scheme, chosen in by_scheme.items():
        everywhere = ".*" if scheme == default else _any_of(chosen)
        for fields in FILE_SCHEMES[scheme].entries:
            entries += _entries(dict(fields), everywhere, chosen, weights)
    if weights.algorithm != "min_max" and not any(entry.algorithm == weights.algorithm for entry in entries):
        raise InvalidArgumentError(
            f"algorithm={weights.algorithm!r} has no weights to work on in this model with the schemes "
            f"{', '.join(by_scheme)}. Leave it out, or take a scheme with integer weights."
        )
    for operation, dtype in dtypes.items():
        if any(entry.mode == "static" for entry in entries):
            bits = 16 if dtype == "int16" else 8
            mode: Mode = "float" if dtype == "float32" else "static"
            entries.append(Entry(operation=operation, mode=mode, activation_bits=bits))
    return entries


def _entries(
    fields: dict[str, Any], everywhere: str, chosen: list[PlannedOperator], weights: WeightOptions
) -> list[Entry]:
    if fields.get("granularity") == "block":
        size = weights.block_size
        fitting = [
            each for each in chosen if size and each.name in BLOCKWISE and each.row and each.row % size == 0
        ]
        # With one scale a kernel or an algorithm without blocks, what the scheme says before this stays.
        if not fitting or not weights.per_channel or weights.algorithm == "mse":
            return []
        return [
            Entry(
                **fields
                | {"granularity": f"block_{size}", "scope": _any_of(fitting), "algorithm": weights.algorithm}
            )
        ]
    fields |= {"granularity": "channel" if weights.per_channel else "tensor"}
    entries = [Entry(**fields, scope=everywhere)]
    with_weights = [each for each in chosen if each.row]
    if weights.algorithm != "min_max" and with_weights and fields["mode"] not in ("float", "float16"):
        entries.append(Entry(**fields, scope=_any_of(with_weights), algorithm=weights.algorithm))
    return entries


def _any_of(planned: Iterable[PlannedOperator]) -> str:
    return f"^(?:{'|'.join(re.escape(each.scope) for each in planned)})$"


def _kernel(file: ParsedFile, call: Call) -> Any:
    """Return the constant tensor that is an operator's kernel, or None."""
    position = WEIGHTS_AT.get(call.name)
    if position is None:
        return None
    tensor = call.graph.tensors[call.operator.inputs[position]]
    return None if constant(file.model, tensor) is None else tensor
