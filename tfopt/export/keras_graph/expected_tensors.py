"""What a quantization-aware model says about each tensor of its file: the type, the scale and the zero point.

The plan is read from the model that is exported, whose quantizers have their ranges by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from tfopt.graph import Constant, Node, OverBatch, as_array, layers, nodes, producer, unrolled, valued
from tfopt.quantization.operators.traits import FIXED_RANGES, INT16_RANGE, Kind, kind, traits_of
from tfopt.quantization.planning.float_boundary import FloatBoundary
from tfopt.quantization.planning.unrounded import indices_of
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.quantizers.weight import WeightQuantizer


@dataclass(frozen=True, order=True)
class Grid:
    """What the values of a tensor are.

    Attributes:
        dtype: `"float32"`, `"int8"` or `"int16"`.
        scale, zero_point: real = scale * (integer - zero_point); 0 for floats.
    """

    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    def __str__(self) -> str:
        return self.dtype if self == FLOAT else f"{self.dtype} {self.scale:.6g} * (q - {self.zero_point})"


FLOAT = Grid("float32")


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """What the tensors of a file are to be.

    Attributes:
        layers: path -> what a layer's tensors are, those that it reads and those that it makes.
        makes: path -> what a layer makes; without what it only reads.
        quantizers: path of what makes a tensor -> the grid that it is put on.
        outputs: of the model, in order.
        weights: the layers with integer weights.
        float_weights: path -> the weights of a layer in float.
    """

    layers: Mapping[str, frozenset[Grid]] = field(default_factory=dict)
    makes: Mapping[str, frozenset[Grid]] = field(default_factory=dict)
    quantizers: Mapping[str, frozenset[Grid]] = field(default_factory=dict)
    outputs: tuple[frozenset[Grid], ...] = ()
    weights: frozenset[str] = frozenset()
    float_weights: Mapping[str, tuple[np.ndarray, ...]] = field(default_factory=dict)

    @property
    def all(self) -> frozenset[Grid]:
        """Everything that a tensor of the file may be."""
        return frozenset[Grid]().union(*self.layers.values())

    def in_float(self, layer: str) -> bool:
        """Return whether all that a layer makes is in float."""
        return self.makes.get(layer) == {FLOAT}

    def table(self) -> str:
        """Return one line a layer, for people."""
        rows = [f"{layer}: {', '.join(map(str, sorted(found)))}" for layer, found in self.makes.items()]
        return "\n".join(rows)


def file_plan(model: keras.Model, lowered: keras.Model, paths: Mapping[str, str]) -> FilePlan:
    """Return the plan of a model's file.

    Args:
        model: quantization-aware.
        lowered: what `tfopt.graph.lower` makes of it.
        paths: path in that -> path in the model, as in the names of the file's tensors.
    """
    weights = {path for path, layer in layers(model) if isinstance(layer, WeightQuantizer)}
    few = unrolled(lowered, steps=3)  # a first, one that another follows, and a last
    return replace(_Reading(few, paths).plan(), weights=frozenset(weights))


def grid_of(quantizer: FixedQuantizer) -> Grid:
    """Return the grid of a quantizer whose range is known, as TensorFlow shifts it for a zero."""
    if quantizer.num_bits == 16:
        return Grid("int16", (quantizer.maximum - quantizer.minimum) / (2**16 - 1), 0)
    scale = (quantizer.maximum - quantizer.minimum) / 255
    return Grid("int8", scale, int(np.clip(np.floor(-quantizer.minimum / scale + 0.5), 0, 255)) - 128)


class _Reading:
    """Follows the grids through a model."""

    def __init__(self, lowered: keras.Model, paths: Mapping[str, str]) -> None:
        self._model, self._paths = lowered, paths
        self._nodes = nodes(lowered)
        self._readers: dict[int, list[Node]] = {}
        for node in self._nodes:
            for tensor in node.inputs:
                self._readers.setdefault(id(tensor), []).append(node)
        self._known: dict[int, Grid] = {}
        self._computed = {id(tensor) for tensor in lowered.inputs}
        for tensor in lowered.inputs:  # what no quantizer reads comes in as floats
            read = self._readers.get(id(tensor), ())
            if _is_float(tensor) and not any(isinstance(x.operation, FixedQuantizer) for x in read):
                self._known[id(tensor)] = FLOAT
        for node in self._nodes:
            self._follow(node)
            if any(id(x) in self._computed for x in valued(node.operation, node.inputs)):
                self._computed.update(map(id, node.outputs))

    def plan(self) -> FilePlan:
        reads: dict[str, set[Grid]] = {}
        makes: dict[str, set[Grid]] = {}
        quantizers: dict[str, set[Grid]] = {}
        weights: dict[str, tuple[np.ndarray, ...]] = {}
        makers = {id(tensor): node for node in self._nodes for tensor in node.outputs}
        for node in self._nodes:
            path = self._paths.get(node.path, node.path)
            made = {grid for tensor in node.outputs for grid in self._ahead(tensor)}
            makes.setdefault(path, set()).update(made)
            read = (grid for tensor in node.inputs for grid in self._ahead(tensor))
            reads.setdefault(path, set()).update(read, made, _prescribed(node))
            if made == {FLOAT} and getattr(node.operation, "weights", None):
                weights[path] = tuple(weight.numpy() for weight in node.operation.weights)
            if isinstance(node.operation, FixedQuantizer):
                maker = makers.get(id(node.inputs[0]))
                if maker is not None and isinstance(maker.operation, FloatBoundary):
                    maker = makers.get(id(maker.inputs[0]))
                name = node.inputs[0].name if maker is None else self._paths.get(maker.path, maker.path)
                # What is constant may have passed further grids; what changes nothing is left out.
                if id(node.inputs[0]) in self._computed and not self._is_neutral(maker):
                    quantizers.setdefault(name, set()).update(made)
                else:
                    reads.setdefault(name, set()).update(made)
                reads[path].add(FLOAT)
        for path, grids in quantizers.items():
            reads.setdefault(path, set()).update(grids)
        return FilePlan(
            layers=_frozen(reads),
            makes=_frozen(makes),
            quantizers=_frozen(quantizers),
            outputs=tuple(frozenset(self._ahead(tensor)) for tensor in self._model.outputs),
            float_weights=weights,
        )

    def _is_neutral(self, node: Node | None) -> bool:
        """Return whether a node multiplies by a constant 1, adds a constant 0, or repeats rows once.

        The converter leaves it and its rounding out.
        """
        if node is not None and isinstance(node.operation, OverBatch):
            return True
        neutral = None if node is None else traits_of(node.operation).neutral
        if node is None or neutral is None or len(node.inputs) != 2:
            return False
        values = [_constant(tensor) for tensor in node.inputs]
        if type(node.operation).__name__ == "Subtract":
            values = values[1:]
        return any(value is not None and np.all(value == neutral) for value in values)

    def _follow(self, node: Node) -> None:
        """Note what a node makes, where that is known from what it reads."""
        operation: Any = node.operation
        exact = {id(x) for x in (node.inputs if isinstance(operation, Constant) else indices_of(node))}
        read = [x for x in node.inputs if id(x) not in exact and _is_float(x)]
        known = [self._known[id(x)] for x in read if id(x) in self._known]
        if isinstance(operation, FixedQuantizer):
            made = grid_of(operation)
        elif isinstance(operation, FloatBoundary) or FLOAT in known or kind(operation) is Kind.FLOAT:
            made = FLOAT
        elif kind(operation) is Kind.SAME_SCALE and known:
            made = known[0]
        else:
            return
        self._known.update({id(tensor): made for tensor in node.outputs})

    def _ahead(self, tensor: keras.KerasTensor) -> set[Grid]:
        """Return what a tensor is on in the file: of one inside an operator, what that makes in the end."""
        quantizers = [x for x in self._readers.get(id(tensor), ()) if isinstance(x.operation, FixedQuantizer)]
        if quantizers and self._known.get(id(tensor)) != FLOAT:
            return {grid_of(x.operation) for x in quantizers}
        if not _is_float(tensor):
            return set()
        if id(tensor) in self._known:
            return {self._known[id(tensor)]}
        readers = self._readers.get(id(tensor), ())
        return {grid for reader in readers for output in reader.outputs for grid in self._ahead(output)}


def _constant(tensor: keras.KerasTensor) -> np.ndarray | None:
    """Return the value of a constant, as it is rounded; None for what is computed from an input."""
    node = producer(tensor)
    if node is None:
        return None
    operation: Any = node.operation
    if isinstance(operation, Constant):
        return np.asarray(as_array(operation.value))
    if len(node.inputs) != 1 or not isinstance(operation, (FixedQuantizer, FloatBoundary)):
        return None
    value = _constant(node.inputs[0])
    return None if value is None else np.asarray(operation(value))


def _is_float(tensor: keras.KerasTensor) -> bool:
    return keras.backend.is_float_dtype(tensor.dtype)


def _prescribed(node: Node) -> list[Grid]:
    """Return the grids that an operator has for itself, before it meets others in one scale."""
    found = kind(node.operation)
    if found is None or found not in FIXED_RANGES:
        return []
    ranges = ((FIXED_RANGES[found], 8), (INT16_RANGE, 16))
    return [grid_of(FixedQuantizer(*range_, num_bits=bits)) for range_, bits in ranges]


def _frozen(sets: Mapping[str, Iterable[Grid]]) -> dict[str, frozenset[Grid]]:
    return {name: frozenset(found) for name, found in sets.items()}
