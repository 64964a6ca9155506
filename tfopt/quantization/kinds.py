"""The kind of every operation of a model, or the error that names the one without."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from tfopt import rules as rules_
from tfopt.errors import UnsupportedOperation
from tfopt.graph import Node, NotSymbolic, as_functional, copy, nodes
from tfopt.quantization.canonical import canonical, unread
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
    kinds = kinds_of(model, rules_.resolve(chosen, paths.values(), default), paths)
    return {
        paths.get(node.path, node.path): (
            f"LiteRT has no int8 kernel for {described(node)}"
            if kind(node.operation) is Kind.FLOAT
            else "a rule says so"
        )
        for node in nodes(model)
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
        UnsupportedOperation: an operation has no kind.
    """
    kinds = {}
    for node in nodes(model):
        # What the rewriting added on its own (an Identity that carries an output's name) has no path.
        path = paths.get(node.path, node.path)
        require_in_files(path, node)
        found = Kind.FLOAT if settings.get(path, "") is None else kind(node.operation)
        if found is None or (len(node.outputs) != 1 and found not in (Kind.SAME_SCALE, Kind.FLOAT)):
            raise _no_rule(path, node, getattr(paths, "closed", {}).get(path))
        kinds[id(node.operation)] = found
    return kinds


def _no_rule(path: str, node: Node, closed: NotSymbolic | None) -> UnsupportedOperation:
    """Return the error for an operation that quantization has no rule for, with what to do."""
    name = type(node.operation).__name__
    if closed is None:
        error = UnsupportedOperation(
            f"int8 has no rule for {path!r} ({name}). Leave it in float with rules={{{path!r}: None}}, or "
            "replace it by a supported layer or operation."
        )
    else:
        error = unread(dataclasses.replace(node, path=path), closed)
    error.__cause__ = closed
    return error
