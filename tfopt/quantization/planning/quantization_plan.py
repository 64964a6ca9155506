"""What quantization makes of a model, as data: decided first, then printed, tested and carried out.

`planning.planner` makes a plan of a canonical model; `qat.builder` creates the layers that the plan names and
decides nothing itself. The calls of a plan stand in the order in which the canonical model makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfopt.quantization.operators.traits import Kind
from tfopt.quantization.scheme import Scheme

Limits = tuple[float, float]
"""The smallest and the largest value of a range."""


@dataclass(frozen=True, kw_only=True)
class QuantizerSpec:
    """A quantizer of activations. Tensors that must have one scale share it.

    Attributes:
        name: of its layer.
        bits: 8 or 16.
        tensors: the paths of what makes the tensors that it quantizes.
        count: how many of these have a range of their own in it; in a loop, those of each step.
        limits: the range that TFLite prescribes; None for one that is found from data.
        observer, activation_range, symmetric: of the scheme, for a range that is found from data.
        nonnegative: whether none of the tensors can be negative.
        inference_only: whether training passes the tensor unchanged.
        requantizes: the 16-bit quantizer whose tensors this one rounds to 8 bits, for operators of 8 bits;
            None for others.
    """

    name: str
    bits: int
    tensors: tuple[str, ...]
    count: int = 1
    limits: Limits | None = None
    observer: str = "moving_average"
    activation_range: str = "observed"
    symmetric: bool = False
    nonnegative: bool = False
    inference_only: bool = False
    requantizes: str | None = None

    def range(self, of: str = "") -> str:
        """Return where the range comes from, in words.

        Args:
            of: the path of what makes one of the tensors, which is then not named among the others.
        """
        if self.limits is not None:
            return f"prescribed {self.limits[0]:g} to {self.limits[1]:.4g}"
        others = [path for path in self.tensors if path != of]
        shared = "own" if not others else f"shared with {', '.join(others)}"
        learned = "" if self.activation_range == "observed" else f", learned ({self.activation_range})"
        return shared + learned


@dataclass(frozen=True, kw_only=True)
class WeightSpec:
    """A layer whose weights are quantized.

    Attributes:
        path: of the layer.
        layer: its class.
        shape: of the weights.
        channels: how many output channels they have.
        scheme: whose grid they are put on.
        block_size: how many inputs of a channel share a scale; None where all do.
    """

    path: str
    layer: str
    shape: tuple[int, ...]
    channels: int
    scheme: Scheme
    block_size: int | None = None

    @property
    def scales(self) -> str:
        """Which weights share a scale, in words."""
        if self.block_size is not None:
            return f"per block of {self.block_size}"
        return "per channel" if self.scheme.per_channel else "per tensor"


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """One call of a quantizer.

    Attributes:
        quantizer: its name.
        tensor: the number of the tensor among those that share the quantizer; None where its values are in
            the range of another.
        averaged: whether the tensor is a mean of values in its range.
        factors: of an average pooling that a file computes by a convolution; see `quantizers.average_pool`.
    """

    quantizer: str
    tensor: int | None
    averaged: bool = False
    factors: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What becomes of a tensor before an operator reads it, in this order.

    Attributes:
        requantized: from 16 to 8 bits.
        rescaling_boundary: the float boundary between two roundings of one tensor, None without one.
        rounded: a tensor that other operators read unrounded, or in another scale.
        boundary: the float boundary that it passes into a part in float.
    """

    requantized: Quantized | None = None
    rescaling_boundary: str | None = None
    rounded: Quantized | None = None
    boundary: str | None = None


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What becomes of a tensor that an operator makes.

    Attributes:
        boundary: the float boundary that it passes out of a part in float.
        quantized: its quantizer; None where it is in float, inside a fused operator, or in the scale of the
            inputs.
    """

    boundary: str | None = None
    quantized: Quantized | None = None


@dataclass(frozen=True, kw_only=True)
class CallSpec:
    """One call of an operation.

    Attributes:
        path: of the operation, as rules take it.
        operation: its class, with its activation where that is all it is.
        kind: how it takes part in quantization; None for what only makes losses.
        scheme: that its rule, or the default, gives it.
        inputs, outputs: what becomes of its tensors, in order.
        weights: of a layer whose weights are quantized.
        standalone: the kind of an operation that is usually fused into another, and is an operator here.
        fused_into: the path of the operator that it is fused into.
        in_float: why its activations stay in float; None where they do not, or are integers by themselves.
        for_losses: whether losses alone are made of what it makes: it is in float, and no part of the file.
    """

    path: str
    operation: str
    kind: Kind | None
    scheme: Scheme | None
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    weights: WeightSpec | None = None
    standalone: Kind | None = None
    fused_into: str | None = None
    in_float: str | None = None
    for_losses: bool = False


@dataclass(frozen=True, kw_only=True)
class QuantizationPlan:
    """How a model is quantized: what `tfopt.quantize_aware` would do, and does.

    Attributes:
        inputs: name -> what becomes of an input of the model.
        calls: every operation of the model, in order; those inside a loop once.
        quantizers: of activations.
        weights: of layers; a layer that is called several times is there once.
    """

    inputs: Mapping[str, OutputSpec]
    calls: tuple[CallSpec, ...]
    quantizers: tuple[QuantizerSpec, ...] = ()
    weights: tuple[WeightSpec, ...] = ()

    @property
    def in_float(self) -> dict[str, str]:
        """Path -> why the activations of an operation stay in float."""
        return {call.path: call.in_float for call in self.calls if call.in_float is not None}

    @property
    def fused(self) -> dict[str, str]:
        """Path of an operation -> path of the operator that it is fused into."""
        return {call.path: call.fused_into for call in self.calls if call.fused_into is not None}

    @property
    def standalone(self) -> dict[str, Kind]:
        """Path of an operation that is usually fused into another and is an operator here -> its kind."""
        return {call.path: call.standalone for call in self.calls if call.standalone is not None}

    @property
    def requantizations(self) -> dict[str, str]:
        """Quantizer to 8 bits -> the quantizer to 16 whose tensors it takes, for operators of 8 bits."""
        return {spec.name: spec.requantizes for spec in self.quantizers if spec.requantizes is not None}

    @property
    def boundaries(self) -> tuple[str, ...]:
        """The names of the layers between parts in float and quantized ones."""
        found: dict[str | None, None] = {}
        for call in self.calls:
            for read in call.inputs:
                found.update(dict.fromkeys((read.rescaling_boundary, read.boundary)))
            found.update({made.boundary: None for made in call.outputs})
        return tuple(name for name in found if name is not None)

    def quantizer(self, name: str) -> QuantizerSpec:
        """Return the quantizer of a name.

        Raises:
            KeyError: there is none.
        """
        return {spec.name: spec for spec in self.quantizers}[name]

    def table(self) -> str:
        """Return one line for each input and each operation, for people."""
        return _aligned([_HEAD, *self._rows()])

    def __str__(self) -> str:
        """Return `table()`."""
        return self.table()

    def _rows(self) -> list[tuple[str, ...]]:
        specs = {spec.name: spec for spec in self.quantizers}
        rows: list[tuple[str, ...]] = [
            (name, "input", *_activation(name, made.quantized, specs), "", "")
            for name, made in self.inputs.items()
        ]
        for call in self.calls:
            if not call.for_losses:
                made = next((x.quantized for x in call.outputs if x.quantized is not None), None)
                bits, range_ = _activation(call.path, made, specs)
                if made is None:
                    bits, range_ = _without_quantizer(call)
                rows.append((call.path, call.operation, bits, range_, _weights(call), _note(call, specs)))
        return rows


_HEAD = ("path", "operation", "bits", "range", "weights", "notes")


def _activation(path: str, use: Quantized | None, specs: Mapping[str, QuantizerSpec]) -> tuple[str, str]:
    """Return the bits of a tensor and where its range comes from."""
    if use is None:
        return "float", ""
    spec = specs[use.quantizer]
    return str(spec.bits), spec.range(path)


def _without_quantizer(call: CallSpec) -> tuple[str, str]:
    if call.fused_into is not None or call.kind is not Kind.FLOAT:
        return "", "that of its inputs" if call.kind is Kind.SAME_SCALE else ""
    return "float" if call.in_float is not None else "", ""


def _weights(call: CallSpec) -> str:
    if call.weights is None or call.weights.scheme.weight_bits is None:
        return ""
    return f"{call.weights.scheme.weight_bits} bits {call.weights.scales}"


def _note(call: CallSpec, specs: Mapping[str, QuantizerSpec]) -> str:
    notes = []
    if call.fused_into is not None:
        notes.append(f"fused into {call.fused_into}")
    if call.standalone is not None:
        notes.append(_STANDALONE[call.standalone])
    if call.in_float is not None:
        notes.append(f"in float: {call.in_float}")
    for name in dict.fromkeys(x.requantized.quantizer for x in call.inputs if x.requantized is not None):
        source = specs[specs[name].requantizes or name]
        notes.append(f"reads {source.tensors[0]} requantized to 8 bits")
    return "; ".join(notes)


_STANDALONE: dict[Kind, str] = {
    Kind.NORMALIZATION: "an operator of its own: a depthwise convolution",
    Kind.RELU: "an operator of its own: a pooling of single values",
}
"""The kind of an operation that is fused into nothing -> what it becomes."""


def _aligned(rows: Sequence[Sequence[Any]]) -> str:
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
