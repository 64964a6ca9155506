"""Deciding which tensors of a canonical model are quantized, and which of them share a range."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping

import keras

from tfopt.graph import Node, nodes
from tfopt.quantization.operations import FIXED_RANGES, Kind

_FUSED_INTO = {
    Kind.NORMALIZATION: {Kind.LINEAR},
    Kind.RELU: {Kind.LINEAR, Kind.NORMALIZATION, Kind.SUM},
}
"""Kind -> the kinds that the converter fuses it into, when it is their output's only reader."""

QUANTIZER_SUFFIX = ".quantizer"
"""What the name of a quantizer ends in, behind the name of what makes the tensor."""

_KEEPS_SCALE = {Kind.SAME_SCALE, Kind.AVERAGE}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What becomes of each tensor, by `id` of the canonical model's `KerasTensor`s.

    Attributes:
        quantizers: tensor -> name of the quantizer that it passes; tensors in one scale share one.
        fixed: tensor -> the range that TFLite prescribes for it, where that is its quantizer.
        standalone: the BatchNormalizations (by `id`) that no operator takes in.
    """

    quantizers: dict[int, str]
    fixed: dict[int, tuple[float, float]]
    standalone: set[int]


def plan(model: keras.Model, kinds: Mapping[int, Kind]) -> Plan:
    """Plan the quantization of a canonical model.

    Args:
        model: as `canonical` returns it.
        kinds: `id` of each operation -> its kind.
    """
    flow = _Flow(model)
    standalone = {
        id(node.operation)
        for node in flow.nodes
        if kinds[id(node.operation)] is Kind.NORMALIZATION
        and ((source := flow.only_source(node)) is None or kinds[id(source.operation)] is not Kind.LINEAR)
    }
    # What stands alone is exported as a depthwise convolution, so a ReLU behind it is fused.
    kinds = {**kinds, **dict.fromkeys(standalone, Kind.LINEAR)}
    named, fixed = _quantized_tensors(flow, kinds)

    scales = _SharedScales()
    for node in flow.nodes:
        if kinds[id(node.operation)] in _KEEPS_SCALE:
            for tensor in node.inputs:
                scales.unite(id(tensor), id(node.outputs[0]))
    # Where a tensor whose range is prescribed meets others in one scale, the converter rescales it.
    ranges = {scales.root(tensor) for tensor in named.keys() - fixed.keys()}
    fixed = {tensor: range_ for tensor, range_ in fixed.items() if scales.root(tensor) not in ranges}

    shared: dict[int, str] = {}
    for tensor, name in named.items():
        shared.setdefault(scales.root(tensor), name + QUANTIZER_SUFFIX)
    return Plan({tensor: shared[scales.root(tensor)] for tensor in named}, fixed, standalone)


def _quantized_tensors(
    flow: _Flow, kinds: Mapping[int, Kind]
) -> tuple[dict[int, str], dict[int, tuple[float, float]]]:
    """Return tensor -> name of what makes it, and tensor -> range where TFLite prescribes one."""
    named = {id(x): x.name for x in flow.inputs if keras.backend.is_float_dtype(x.dtype)}
    fixed = {}
    for node in flow.nodes:
        kind, tensor = kinds[id(node.operation)], id(node.outputs[0])
        readers = flow.readers[tensor]
        reading = [kinds[id(reader.operation)] for reader in readers]
        only_floats_read = kind is Kind.FLOAT and all(other is Kind.FLOAT for other in reading)
        fused = any(
            flow.only_source(reader) is node and kind in _FUSED_INTO.get(other, ())
            for reader, other in zip(readers, reading, strict=True)
        )
        if kind is Kind.SAME_SCALE or only_floats_read or fused:
            continue
        named[tensor] = node.path
        if kind in FIXED_RANGES:
            fixed[tensor] = FIXED_RANGES[kind]
    return named, fixed


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

    def only_source(self, node: Node) -> Node | None:
        """Return the node before, where nothing but `node` reads what it makes."""
        tensor = id(node.inputs[0])
        alone = len(self.readers[tensor]) == 1 and tensor not in self._final
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
