"""The kind of every operation of a model, or the error that names the one without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfopt import rules as rules_
from tfopt.errors import UnsupportedOperation
from tfopt.graph import Node, as_functional, copy, nodes
from tfopt.quantization.canonical import canonical
from tfopt.quantization.flat import Flat
from tfopt.quantization.no_operator import require_in_files
from tfopt.quantization.operations import Kind, kind
from tfopt.quantization.scheme import SchemeLike, scheme_of
from tfopt.quantization.widths import is_wide


def left_in_float(
    model: keras.Model,
    rules: Mapping[str, SchemeLike | None] | None = None,
    scheme: SchemeLike = "int8",
) -> dict[str, str]:
    """Return what `quantize_aware` would leave in float: path -> the reason.

    Args:
        model, rules, scheme: as `quantize_aware` takes them.

    Raises:
        InvalidArgumentError: a rule that matches nothing, or an unknown scheme.
        UnsupportedModel: a subclassed model that cannot be run on symbolic tensors.
        UnsupportedOperation: an operation that int8 has no rule for.
    """
    default = scheme_of(scheme)
    chosen = {pattern: None if each is None else scheme_of(each) for pattern, each in (rules or {}).items()}
    functional = as_functional(copy(model, share_variables=True))
    model, paths = canonical(functional, lambda path: is_wide(rules_.setting(chosen, path, default)))
    flat = Flat(model)
    paths = {**paths, **flat.paths(paths)}
    kinds = kinds_of(flat.model, rules_.resolve(chosen, paths.values(), default), paths)
    return {
        paths.get(node.path, node.path): (
            f"LiteRT has no int8 kernel for {described(node)}"
            if kind(node.operation) is Kind.FLOAT
            else "a rule says so"
        )
        for node in nodes(flat.model)
        if kinds[id(node.operation)] is Kind.FLOAT
        and any(keras.backend.is_float_dtype(x.dtype) for x in node.outputs)
    }


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
        UnsupportedOperation: an operation has no kind, or a rule leaves in float what cannot be.
    """
    kinds = {}
    for node in nodes(model):
        # What the rewriting added on its own (an Identity that carries an output's name) has no path.
        path = paths.get(node.path, node.path)
        require_in_files(path, node)
        found = Kind.FLOAT if settings.get(path, "") is None else kind(node.operation)
        if found is None or (len(node.outputs) != 1 and found not in (Kind.SAME_SCALE, Kind.FLOAT)):
            raise UnsupportedOperation(
                f"int8 has no rule for {path!r} ({type(node.operation).__name__}). Leave it in float with "
                f"rules={{{path!r}: None}}, or replace it by a supported layer; layers of your own are "
                "supported where their call() uses only supported layers and keras.ops."
            )
        kinds[id(node.operation)] = found
    _require_possible(model, kinds, paths)
    return kinds


def _require_possible(model: keras.Model, kinds: Mapping[int, Kind], paths: Mapping[str, str]) -> None:
    """Raise where the converter would quantize a layer that a rule leaves in float.

    It quantizes what has an int8 kernel and stands between quantized tensors, asked or not.
    """
    graph = nodes(model)
    for node in graph:
        if kinds[id(node.operation)] is not Kind.FLOAT or kind(node.operation) in (None, Kind.FLOAT):
            continue
        readers = [other for other in graph if any(x is node.outputs[0] for x in other.inputs)]
        read = [other for other in readers if kinds[id(other.operation)] is not Kind.FLOAT]
        if read:
            raise UnsupportedOperation(
                f"{paths.get(node.path, node.path)!r} cannot be left in float while "
                f"{paths.get(read[0].path, read[0].path)!r}, which reads it, is quantized: the TFLite "
                "converter quantizes every layer between quantized ones. Leave all that follow it in float "
                "too, or none."
            )
