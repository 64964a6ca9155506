"""The kind of every operation of a model, or the error that names the one without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import keras

from tfopt.errors import UnsupportedOperation
from tfopt.graph import KeepsState, Node, NotSymbolic, nodes
from tfopt.quantization.layers.scaling import Scaling
from tfopt.quantization.operators.op_traits import Kind
from tfopt.quantization.operators.traits import kind, traits_of
from tfopt.quantization.operators.unsupported import require_in_files
from tfopt.quantization.planning.bit_widths import is_int16
from tfopt.quantization.planning.spectra import of_spectra
from tfopt.quantization.planning.uneven_columns import with_uneven_columns_in_float


def described(node: Node) -> str:
    """Return the class of an operation, with its activation where that is all it is."""
    operation = node.operation
    name = type(operation).__name__
    if not isinstance(operation, keras.layers.Activation):
        return name
    return f"{name} {getattr(operation.activation, '__name__', '')}".strip()


def kinds_of(model: keras.Model, settings: Mapping[str, Any], paths: Mapping[str, str]) -> dict[int, Kind]:
    """Return the kind of every operation of a canonical model, by `id`.

    Args:
        model, paths: as `canonical` returns them.
        settings: path -> scheme, or None for what stays in float.

    Raises:
        UnsupportedOperation: an operation has no kind.
    """
    kinds = {}
    for node in nodes(model):
        # What the rewrites added on their own (an Identity that carries an output's name) has no path.
        path = paths.get(node.path, node.path)
        require_in_files(path, node)
        in_float = settings.get(path, "") is None or _is_of_integers(node)
        in_float |= _averages_under_a_mask(node)
        found = Kind.FLOAT if in_float else kind(node.operation)
        if found is None or (len(node.outputs) != 1 and found not in (Kind.SAME_SCALE, Kind.FLOAT)):
            raise _no_rule(path, node, getattr(paths, "left_whole", {}).get(path))
        kinds[id(node.operation)] = found
    kinds |= dict.fromkeys(of_spectra(model, kinds), Kind.FLOAT)
    kinds = with_uneven_columns_in_float(model, kinds, lambda path: _intervals(settings.get(path)), paths)
    return _with_small_summands_in_float(model, kinds)


def _intervals(scheme: Any) -> int:
    return 2**16 - 1 if is_int16(scheme) else 2**8 - 1


def _averages_under_a_mask(node: Node) -> bool:
    """Return whether a call averages the steps that a mask leaves, for which no integer operator is."""
    return type(node.operation).__name__ == "GlobalAveragePooling1D" and len(node.inputs) > 1


def _is_of_integers(node: Node) -> bool:
    """Return whether a call has nothing that could be quantized: its integers are computed as they are."""
    return not any(keras.backend.is_float_dtype(x.dtype) for x in (*node.inputs, *node.outputs))


def _with_small_summands_in_float(model: keras.Model, kinds: Mapping[int, Kind]) -> dict[int, Kind]:
    """Return the kinds with the sum in float in `sqrt(x + 1e-5)`, `y / (x + 1e-7)` and the like.

    Rounded, the sum of a small `x` and a small number is 0, where the root and the quotient are not defined.
    """
    changed = dict(kinds)
    graph = nodes(model)
    final = {id(x) for x in model.outputs}
    readers: dict[int, list[Node]] = defaultdict(list)
    for node in graph:
        for x in node.inputs:
            readers[id(x)].append(node)
    for node in graph:
        output = id(node.outputs[0])
        if (
            isinstance(node.operation, Scaling)
            and output not in final
            and all(changed[id(reader.operation)] is Kind.FLOAT for reader in readers[output])
            and any(traits_of(reader.operation).singular for reader in readers[output])
        ):
            changed[id(node.operation)] = Kind.FLOAT
    return changed


def _no_rule(path: str, node: Node, reason: NotSymbolic | None) -> UnsupportedOperation:
    """Return the error for an operation that quantization has no rule for, with what to do."""
    name = type(node.operation).__name__
    if reason is None:
        error = UnsupportedOperation(
            f"int8 has no rule for {path!r} ({name}). Leave it in float with rules={{{path!r}: None}}, or "
            "replace it by a supported layer or operation."
        )
    elif isinstance(reason, KeepsState):
        error = UnsupportedOperation(f"The code of {path!r} ({name}) cannot be read as operations: {reason}.")
    else:
        error = UnsupportedOperation(
            f"The code of {path!r} ({name}) could not be read as operations: {reason}. Write it of layers "
            f"and keras.ops, or leave all of it in float with rules={{{path!r}: None}}."
        )
    error.__cause__ = reason
    return error
