"""What is in a TFLite file: operators, types, what stayed in float, and its sizes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tfopt.export.flatbuffer.class_names import class_names_in
from tfopt.export.flatbuffer.fields import constant, operator_name, per_tensor, text, type_name
from tfopt.export.flatbuffer.inputs_outputs import TensorSpec, inputs_and_outputs
from tfopt.export.flatbuffer.read import naming_damage, parse
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.flatbuffer.weights import PACKED, WeightSummary, weights_of
from tfopt.measure.size import compressed_bytes, raw_bytes
from tfopt.report import formats

FLOATS = ("float16", "float32", "float64", "bfloat16")
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST", "DENSIFY")
"""Operators that only change the type, where integers begin and end, or the encoding."""

_READING = ("GATHER", "EMBEDDING_LOOKUP")
"""Operators that only pick rows of a table, which may be in another type than what they return."""


@dataclass(frozen=True)
class OperatorSummary:
    """One kind of operator: how often it occurs, and the types that it reads and writes."""

    name: str
    count: int
    types: tuple[str, ...]


@dataclass(frozen=True)
class FloatOperator:
    """An operator that computes in float, and the layer of the Keras model that it came from."""

    operator: str
    layer: str


@dataclass(frozen=True)
class FileSummary:
    """What is in a TFLite file.

    Attributes:
        scheme: as `to_tflite` calls it, such as `"int8"`; found from the types of the tensors. A file that
            computes some of its operators with integer activations has the scheme of these, the most of
            them where they differ, or of its inputs and outputs where it computes none so;
            `float_operators` are the rest.
        bytes, compressed_bytes: the file's size, plain and after gzip.
        inputs, outputs: in the file's order.
        operators: by name.
        float_operators: what computes in float; in a float file that is everything.
        weights: in the order of the file.
        class_names: of a classifier that tfopt wrote in a run or on the command line; else none.
    """

    scheme: str
    bytes: int
    compressed_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[OperatorSummary, ...]
    float_operators: tuple[FloatOperator, ...]
    weights: tuple[WeightSummary, ...]
    class_names: tuple[str, ...] = ()

    @property
    def integer(self) -> bool:
        """Whether activations are integers too, so that what computes in float is an exception."""
        return self.scheme in ("int8", "int4", "int16x8")

    @property
    def sparse_bytes(self) -> int:
        """The file's size with every weight tensor in TFLite's sparse encoding where that is smaller.

        What `to_tflite(..., sparse=True)` comes to, but for the tensors that LiteRT runs only as they are.
        """
        return self.bytes - sum(max(0, each.bytes - each.sparse_bytes) for each in self.weights)

    @property
    def entropy_bytes(self) -> int:
        """The file's size with every weight tensor at its Shannon bound; see `measure.entropy_bytes`."""
        return self.bytes - sum(each.bytes - each.entropy_bytes for each in self.weights)

    @property
    def clusters(self) -> int:
        """The most different values that a weight tensor has; 0 without any."""
        return max((each.clusters for each in self.weights), default=0)

    @property
    def sparsity(self) -> float:
        """The share of zeros among all weights, in [0, 1]."""
        return sum(weight.zeros for weight in self.weights) / max(
            1, sum(weight.size for weight in self.weights)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self) | {
            "sparsity": self.sparsity,
            "sparse_bytes": self.sparse_bytes,
            "entropy_bytes": self.entropy_bytes,
            "clusters": self.clusters,
        }

    def __str__(self) -> str:
        lines = [
            f"{self.scheme} TFLite file, {self.bytes} bytes, {self.compressed_bytes} compressed, "
            f"{self.sparse_bytes} sparse-encoded, {self.entropy_bytes} with weights at their Shannon bound"
        ]
        for what, specs in (("input", self.inputs), ("output", self.outputs)):
            lines += [f"{what} {spec.name}: {spec.dtype} {list(spec.shape)}{_grid(spec)}" for spec in specs]
        if self.class_names:
            lines.append(f"classes: {formats.class_names(self.class_names)}")
        lines += [f"{each.count} x {each.name} ({', '.join(each.types)})" for each in self.operators]
        if self.integer:
            lines += [f"in float: {each.operator} of {each.layer}" for each in self.float_operators]
        lines.append(f"{self.sparsity:.1%} of {sum(each.size for each in self.weights)} weights are zero")
        return "\n".join(lines)


def _grid(spec: TensorSpec) -> str:
    return "" if spec.scale is None else f", {spec.scale:.6g} * (q - {spec.zero_point})"


def inspect_file(content: bytes, source: str = "The content") -> FileSummary:
    """Return what is in a TFLite file.

    Args:
        content: of the file.
        source: what an error message calls it.

    Raises:
        InvalidArgumentError: this is no TFLite file, or a damaged one.
    """
    model = parse(content, source)
    with naming_damage(source):
        inputs, outputs = inputs_and_outputs(model)
        calls = [(graph, operator) for graph in model.subgraphs for operator in graph.operators or []]
        weights = tuple(weights_of(model))
        floats = tuple(_float_operators(model, calls))
        operators = _operators(model, calls)
        computed = _integers(model, calls) or _integer_inputs_outputs(inputs, outputs)
        return FileSummary(
            scheme=_scheme(weights, computed, operators),
            bytes=raw_bytes(content),
            compressed_bytes=compressed_bytes(content),
            inputs=inputs,
            outputs=outputs,
            operators=tuple(operators),
            float_operators=floats,
            weights=weights,
            class_names=class_names_in(model),
        )


def _operators(model: Any, calls: list[tuple[Any, Any]]) -> list[OperatorSummary]:
    counts = Counter(operator_name(model, operator) for _, operator in calls)
    types: dict[str, set[str]] = {name: set() for name in counts}
    for graph, operator in calls:
        for index in (*_indices(operator.inputs), *_indices(operator.outputs)):
            tensor = graph.tensors[index]
            # Integer constants (biases, shapes, axes) say nothing about the arithmetic.
            if type_name(tensor) not in ("int32", "int64") or constant(model, tensor) is None:
                types[operator_name(model, operator)].add(type_name(tensor))
    return [OperatorSummary(name, counts[name], tuple(sorted(types[name]))) for name in sorted(counts)]


def _float_operators(model: Any, calls: list[tuple[Any, Any]]) -> list[FloatOperator]:
    found = []
    for graph, operator in calls:
        name = operator_name(model, operator)
        results = [graph.tensors[index] for index in _indices(operator.outputs)]
        if name not in CONVERSIONS and any(type_name(tensor) in FLOATS for tensor in results):
            found.append(FloatOperator(name, layer_of(text(results[0].name))))
    return found


def _integers(model: Any, calls: list[tuple[Any, Any]]) -> Counter[str]:
    """Return type -> how many operators return quantized integers."""
    found: Counter[str] = Counter()
    for graph, operator in calls:
        results = [graph.tensors[index] for index in _indices(operator.outputs)]
        kinds = {type_name(x) for x in results if per_tensor(x)[0] is not None}
        if operator_name(model, operator) not in (*CONVERSIONS, *_READING):
            found.update(kinds & {"int8", "uint8", "int16"})
    return found


def _integer_inputs_outputs(*sides: tuple[TensorSpec, ...]) -> Counter[str]:
    """Return type -> how many inputs and outputs are quantized integers."""
    return Counter(spec.dtype for specs in sides for spec in specs if spec.scale is not None)


def _indices(indices: Any) -> list[int]:
    return [int(index) for index in (indices if indices is not None else []) if index >= 0]


def _scheme(
    weights: tuple[WeightSummary, ...], computed: Counter[str], operators: list[OperatorSummary]
) -> str:
    types = {weight.dtype for weight in weights}
    integers = types & {"int8", "int4", "int2", "uint8"}
    few_bits = bool(types & set(PACKED))
    computing = [set(each.types) for each in operators if each.name not in (*CONVERSIONS, *_READING)]
    if computed:
        if computed["int16"] > computed["int8"] + computed["uint8"]:
            return "int16x8"
        return "int4" if few_bits else "int8"
    if not integers:
        return "float16" if "float16" in types else "float32"
    if few_bits:
        return "int4_weights"
    mixed = any(each & integers and each & set(FLOATS) for each in computing)
    return "dynamic" if mixed else "int8_weights"
