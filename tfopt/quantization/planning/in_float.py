"""Which operations compute in float, and why: by a rule, for want of a kernel, or as rounding spoils them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from tfopt import rules as rules_
from tfopt.graph import Node, as_functional, copy, nodes
from tfopt.quantization.canonicalize.canonicalize import canonical
from tfopt.quantization.layers.scaling import Scaling
from tfopt.quantization.operators.traits import Kind, kind
from tfopt.quantization.planning.bit_widths import is_int16
from tfopt.quantization.planning.empty_segments import replacing_empty_segments
from tfopt.quantization.planning.kinds import described, kinds_of
from tfopt.quantization.planning.spectra import of_spectra
from tfopt.quantization.planning.unrolled import Flat
from tfopt.quantization.planning.unrounded import exact_tensors, kept_in_float
from tfopt.quantization.scheme import Scheme, SchemeLike, scheme_of

BY_RULE = "a rule says so"
BY_SCHEME = "by its scheme"
_COLUMNS = "8 bits do not hold columns of so different a size"
_EMPTY_SEGMENTS = "no range holds what a segment without rows returns"
_INDICES = "it passes on indices, which are not rounded"
_MASKED_AVERAGE = "LiteRT has no int8 kernel for an average under a mask"
_NO_KERNEL = "LiteRT has no int8 kernel for"
_ROWS = "what reads its rows is in float"
_SINGULAR = "rounded, the small number that it adds would be 0"
_SPECTRUM = "8 bits do not hold the quiet parts of a sound and its spectrum"


@dataclass(frozen=True, kw_only=True)
class ActivationKinds:
    """How the operations of a model take part in the quantization of activations.

    Attributes:
        kinds: `id` of each operation -> its kind.
        reasons: `id` of an operation in float -> why it is.
        exact: the `id` of each tensor that is not rounded -> whether it holds indices.
        integer: whether any activation is quantized at all.
    """

    kinds: Mapping[int, Kind]
    reasons: Mapping[int, str]
    exact: Mapping[int, bool] = field(default_factory=dict)
    integer: bool = True


def has_integer_activations(scheme: Scheme | None) -> bool:
    """Return whether a scheme quantizes activations."""
    return scheme is not None and scheme.activation_bits is not None


def activation_kinds(
    model: keras.Model, settings: Mapping[str, Scheme | None], paths: Mapping[str, str], default: Scheme
) -> ActivationKinds:
    """Return the kinds of a model's operations, and why some are in float.

    Args:
        model: canonical, without loops.
        settings: path -> scheme, None for float.
        paths: name -> path of every operation.
        default: the scheme of what has no path of its own.

    Raises:
        UnsupportedOperation: an operation that int8 has no rule for.
    """
    graph = nodes(model)

    def scheme_of(node: Node) -> Scheme | None:
        return settings.get(paths.get(node.path, node.path), default)

    if not any(map(has_integer_activations, settings.values())):
        # There is no rule then that an operation must have.
        return ActivationKinds(
            kinds={id(node.operation): Kind.FLOAT for node in graph},
            reasons={id(node.operation): _of_rule(scheme_of(node)) for node in graph},
            integer=False,
        )
    integer = {path: scheme if has_integer_activations(scheme) else None for path, scheme in settings.items()}
    by_rule = {
        id(node.operation): _of_rule(scheme_of(node))
        for node in graph
        if integer.get(paths.get(node.path, node.path), default) is None
    }
    kinds = kinds_of(model, integer, paths)
    reasons = {id(node.operation): _reason(node) for node in graph if kinds[id(node.operation)] is Kind.FLOAT}
    reasons |= {operation: reason for operation, reason in by_rule.items() if operation in reasons}
    replacing = replacing_empty_segments(model, kinds)
    kinds = kinds | dict.fromkeys(replacing, Kind.FLOAT)
    spectra = of_spectra(model, kinds)
    reasons |= dict.fromkeys(spectra & reasons.keys(), _SPECTRUM)
    reasons |= dict.fromkeys(replacing - reasons.keys(), _EMPTY_SEGMENTS)
    reasons |= {
        id(node.operation): f"{_NO_KERNEL} {described(node)}"
        for node in graph
        if kind(node.operation) is Kind.FLOAT
    }
    exact = exact_tensors(model, kinds, by_rule.keys() | spectra)
    kinds = kept_in_float(model, kinds, exact)
    for node in graph:
        if kinds[id(node.operation)] is Kind.FLOAT and id(node.operation) not in reasons:
            of_indices = any(exact.get(id(x)) for x in node.inputs)
            reasons[id(node.operation)] = _INDICES if of_indices else _ROWS
    return ActivationKinds(kinds=kinds, reasons=reasons, exact=exact)


def _of_rule(scheme: Scheme | None) -> str:
    return BY_RULE if scheme is None else BY_SCHEME


def _reason(node: Node) -> str:
    """Return why `kinds_of` leaves an operation in float that has an int8 kernel and no rule."""
    if not isinstance(node.operation, Scaling):
        return _MASKED_AVERAGE
    return _COLUMNS if np.size(node.operation.scale) > 1 else _SINGULAR


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
    model, paths = canonical(functional, lambda path: is_int16(rules_.setting(chosen, path, default)))
    flat = Flat(model)
    paths.update(flat.paths(paths))
    settings = rules_.resolve(chosen, paths.values(), default)
    kinds = kinds_of(flat.model, settings, paths)
    spectra = of_spectra(flat.model, kinds)

    def reason(node: Node) -> str:
        if kind(node.operation) is Kind.FLOAT:
            return f"{_NO_KERNEL} {described(node)}"
        if id(node.operation) in spectra:
            return _SPECTRUM
        by_rule = settings.get(paths.get(node.path, node.path), "") is None
        return BY_RULE if by_rule else _COLUMNS

    return {
        paths.get(node.path, node.path): reason(node)
        for node in nodes(flat.model)
        if kinds[id(node.operation)] is Kind.FLOAT
        and any(keras.backend.is_float_dtype(x.dtype) for x in node.outputs)
    }
