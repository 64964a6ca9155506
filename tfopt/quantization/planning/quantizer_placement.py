"""Deciding which tensors of a canonical model are quantized, and which of them share a range."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from tfopt.graph import Constant, Node, nodes, valued
from tfopt.quantization.layers.scaling import Scaling
from tfopt.quantization.operators.op_traits import FUSED_INTO, KEEPS_SCALE
from tfopt.quantization.operators.traits import FIXED_RANGES, Kind, ceiling, kind
from tfopt.quantization.planning.unrounded import reads_exactly
from tfopt.quantization.quantizers.names import quantizer_name

_FUSED_AS = {Kind.NORMALIZATION: Kind.LINEAR, Kind.SCALING: Kind.LINEAR, Kind.RELU: Kind.OWN_RANGE}
"""Kind -> what the operator counts as that it was fused into."""

_ALONE_AS = {Kind.NORMALIZATION: Kind.LINEAR, Kind.SCALING: Kind.SUM}
"""Kind -> what it counts as where it is not fused; a NORMALIZATION is then a depthwise convolution."""

_STANDALONE_AS = {Kind.NORMALIZATION: Kind.LINEAR, Kind.RELU: Kind.AVERAGE}
"""Kind -> what an operator counts as that is made for it where it stands alone: a depthwise convolution; a
pooling, which keeps the scale."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizerPlacement:
    """Where quantizers stand, by `id` of the canonical model's `KerasTensor`s.

    Attributes:
        quantizers: tensor -> name of the quantizer that it passes; tensors in one scale share one.
        fixed: tensor -> the range that TFLite prescribes for it, where that is its quantizer.
        standalone: the operations (by `id`) of the kinds NORMALIZATION and RELU that are fused into no
            operator, and these kinds.
        tensors: tensor -> its number among those that share its quantizer; None where its values are in the
            range of others.
        exact: the tensors that are not rounded, but for operations that are quantized, see `unrounded`.
        fused: the first tensor of a call that is fused into the operator before -> the name of that operator.
    """

    quantizers: dict[int, str] = dataclasses.field(default_factory=dict)
    fixed: dict[int, tuple[float, float]] = dataclasses.field(default_factory=dict)
    standalone: dict[int, Kind] = dataclasses.field(default_factory=dict)
    tensors: dict[int, int | None] = dataclasses.field(default_factory=dict)
    exact: frozenset[int] = frozenset()
    fused: dict[int, str] = dataclasses.field(default_factory=dict)


def place_quantizers(
    model: keras.Model, kinds: Mapping[int, Kind], exact: Collection[int] = ()
) -> QuantizerPlacement:
    """Decide where the quantizers of a canonical model stand.

    Args:
        model: as `canonical` returns it.
        kinds: `id` of each operation -> its kind.
        exact: the `id` of each tensor that is not to be rounded for operations in float.
    """
    flow = _Flow(model)
    fused = _fused(flow, kinds)
    standalone = {
        id(node.operation): kinds[id(node.operation)]
        for node in flow.nodes
        if kinds[id(node.operation)] in _STANDALONE_AS and node not in fused
    }
    # A shared one that stands alone in one place is an operator of its own in all.
    kinds = {**kinds, **{operation: _STANDALONE_AS[kind] for operation, kind in standalone.items()}}
    fused = _fused(flow, kinds)
    named, fixed = _quantized_tensors(flow, kinds, fused, exact)

    scales = _SharedScales()
    for node in flow.nodes:
        if kinds[id(node.operation)] in KEEPS_SCALE:
            for tensor in (*node.inputs, *node.outputs):
                if keras.backend.is_float_dtype(tensor.dtype):  # a condition joins nothing
                    scales.unite(id(tensor), id(node.outputs[0]))
    for one, other in flow.equal():
        scales.unite(id(one.outputs[0]), id(other.outputs[0]))
    _unite_of_one_name(scales, named)
    # Where a tensor whose range is prescribed meets others in one scale, the converter rescales it.
    ranges = {scales.root(tensor) for tensor in named.keys() - fixed.keys()}
    fixed = {tensor: range_ for tensor, range_ in fixed.items() if scales.root(tensor) not in ranges}

    shared: dict[int, str] = {}
    for tensor, name in named.items():
        shared.setdefault(scales.root(tensor), quantizer_name(name))
    quantizers = {tensor: shared[scales.root(tensor)] for tensor in named}
    return QuantizerPlacement(
        quantizers=quantizers,
        fixed=fixed,
        standalone=standalone,
        tensors=_numbered(flow, kinds, quantizers),
        exact=frozenset(exact),
        fused={id(node.outputs[0]): operator.path for node, operator in fused.items()},
    )


def _unite_of_one_name(scales: _SharedScales, named: Mapping[int, str]) -> None:
    """Unite the sets whose first tensor has one name, as in two calls of a layer: they have one quantizer."""
    first: dict[str, int] = {}
    seen: set[int] = set()
    for tensor, name in named.items():
        if scales.root(tensor) not in seen:
            scales.unite(first.setdefault(name, tensor), tensor)
            seen.add(scales.root(tensor))


def _numbered(flow: _Flow, kinds: Mapping[int, Kind], quantizers: Mapping[int, str]) -> dict[int, int | None]:
    """Return tensor -> its number among those of its quantizer that it has to look at."""
    derived = {
        id(x) for node in flow.nodes if kinds[id(node.operation)] is Kind.AVERAGE for x in node.outputs
    }
    counts: Counter[str] = Counter()
    numbers: dict[int, int | None] = dict.fromkeys(derived)
    for tensor, name in quantizers.items():
        if tensor not in derived:
            numbers[tensor] = counts[name]
            counts[name] += 1
    return numbers


def _fused(flow: _Flow, kinds: Mapping[int, Kind]) -> dict[Node, Node]:
    """Return the nodes that the converter fuses into the operator before them, and that operator."""
    fused: dict[Node, Node] = {}
    counts_as: dict[Node | None, Kind] = {}
    for node in flow.nodes:
        kind = kinds[id(node.operation)]
        source = flow.only_source(node)
        if source is not None and counts_as.get(source) in FUSED_INTO.get(kind, ()):
            fused[node] = fused.get(source, source)
            counts_as[node] = _FUSED_AS[kind]
        else:
            counts_as[node] = _ALONE_AS.get(kind, kind)
    return fused


def _quantized_tensors(
    flow: _Flow, kinds: Mapping[int, Kind], fused: Collection[Node], exact: Collection[int]
) -> tuple[dict[int, str], dict[int, tuple[float, float]]]:
    """Return tensor -> name of what makes it, and tensor -> range where TFLite prescribes one."""

    def needless(tensor: int) -> bool:
        return tensor in exact and all(
            reads_exactly(reader, tensor, kinds) for reader in flow.readers[tensor]
        )

    floats = [x for x in flow.inputs if keras.backend.is_float_dtype(x.dtype)]
    named = {id(x): x.name for x in floats if not needless(id(x))}
    fixed = {}
    for node in flow.nodes:
        kind = kinds[id(node.operation)]
        if kind is Kind.SAME_SCALE:
            continue
        for index, output in enumerate(node.outputs):
            readers = flow.readers[id(output)]
            in_float = kind is Kind.FLOAT or (isinstance(node.operation, Constant) and bool(readers))
            only_floats_read = in_float and all(
                kinds[id(reader.operation)] is Kind.FLOAT
                or all(x is not output for x in valued(reader.operation, reader.inputs))
                for reader in readers
            )
            is_fused = any(reader in fused for reader in readers)
            if only_floats_read or is_fused or not keras.backend.is_float_dtype(output.dtype):
                continue
            named[id(output)] = f"{_name(node)}.{index}" if index else _name(node)
            if kind in FIXED_RANGES:
                fixed[id(output)] = FIXED_RANGES[kind]
    return named, fixed


def _name(node: Node) -> str:
    """Return what the quantizer of a call is named after: a table and products with it differ in range."""
    looks_up = getattr(node.operation, "tfopt_looks_up", None)
    return node.path if looks_up is None or looks_up(node.inputs[0]) else f"{node.path}.reverse"


def _signature(operation: Any) -> tuple[Any, ...] | None:
    """Return what an operation does, weights aside; None where the converter keeps equal ones apart."""
    if kind(operation) is Kind.RELU:
        return "relu", ceiling(operation)
    if isinstance(operation, Scaling):
        return "scaling", repr((operation.scale, operation.offset))
    if kind(operation) not in (Kind.LINEAR, Kind.LINEAR_ALONE) or not isinstance(operation, keras.Layer):
        return None
    config = {key: value for key, value in operation.get_config().items() if key not in ("name", "dtype")}
    return type(operation).__name__, repr(config)


def _have_equal_weights(one: Any, other: Any) -> bool:
    """Return whether weights are equal, as those are of one seed that have not been trained."""
    if one is other or not isinstance(one, keras.Layer):
        return True
    pairs = zip(one.weights, other.weights, strict=True)
    return all(np.array_equal(mine.numpy(), theirs.numpy()) for mine, theirs in pairs)


class _Flow:
    """Which node makes and which nodes read each tensor."""

    def __init__(self, model: keras.Model) -> None:
        self.nodes = nodes(model)
        self.inputs = model.inputs
        self.readers: dict[int, list[Node]] = defaultdict(list)
        self._producer: dict[int, Node] = {}
        self._final = {id(tensor) for tensor in model.outputs}
        for node in self.nodes:
            for tensor in node.inputs:
                self.readers[id(tensor)].append(node)
            for tensor in node.outputs:
                self._producer[id(tensor)] = node

    def equal(self) -> Iterator[tuple[Node, Node]]:
        """Yield pairs of calls that do the same to the same tensors, of which the converter makes one."""
        alike: dict[tuple[Any, ...], list[Node]] = defaultdict(list)
        same: dict[int, int] = {}  # tensor -> the equal one that came first
        for node in self.nodes:
            does = _signature(node.operation)
            if does is None:
                continue
            before = alike[does, tuple(same.get(id(tensor), id(tensor)) for tensor in node.inputs)]
            other = next((x for x in before if _have_equal_weights(x.operation, node.operation)), None)
            if other is None:
                before.append(node)
            else:
                same.update(zip(map(id, node.outputs), map(id, other.outputs), strict=True))
                yield other, node

    def only_source(self, node: Node) -> Node | None:
        """Return the node before, where nothing but `node` reads what it makes.

        Several readers that do the same count as one, for the converter makes one of them.
        """
        tensor = id(node.inputs[0])
        kinds = {ceiling(reader.operation) for reader in self.readers[tensor]}
        one = len(self.readers[tensor]) == 1 or (len(kinds) == 1 and None not in kinds)
        alone = one and tensor not in self._final
        return self._producer.get(tensor) if alone else None


class _SharedScales:
    """Sets of tensors that must have one scale (a union-find)."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, tensor: int) -> int:
        while (parent := self._parent.get(tensor, tensor)) != tensor:
            tensor = parent
        return tensor

    def unite(self, one: int, other: int) -> None:
        self._parent[self.root(other)] = self.root(one)
