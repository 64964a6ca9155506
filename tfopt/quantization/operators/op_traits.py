"""The record of what quantization knows of one operator.

The facts follow the operators of the TFLite int8 specification: which of them multiply by a kernel, which
the converter fuses into the operator before them, which return the scale that they are given, and which have
their scale prescribed.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tfopt.graph import Node


class Kind(enum.Enum):
    """How an operator takes part in quantization."""

    LINEAR = "multiplies by a kernel; what is affine and a ReLU after it are fused into it"
    LINEAR_ALONE = "multiplies by a kernel; nothing is fused into it"
    NORMALIZATION = "affine in each channel: fused into the LINEAR before it, else a depthwise convolution"
    SCALING = "multiplies by a number or adds one: fused into the LINEAR before it, else an operator"
    RELU = "fused into the operator before it"
    SUM = "adds, subtracts or multiplies two tensors; a ReLU after it is fused into it"
    OWN_RANGE = "returns values in a range of their own"
    SAME_SCALE = "returns some of the values it is given"
    AVERAGE = "returns averages of the values it is given, in their scale"
    SIGMOID = "returns values from 0 to 1 in a scale of 1/256"
    TANH = "returns values from -1 to 1 in a scale of 1/128"
    FLOAT = "is left in float: LiteRT has no int8 kernel for it, or a rule says so"


FUSED_INTO = {
    Kind.NORMALIZATION: frozenset({Kind.LINEAR}),
    Kind.SCALING: frozenset({Kind.LINEAR}),
    Kind.RELU: frozenset({Kind.LINEAR, Kind.SUM}),
}
"""Kind -> the kinds that the converter fuses it into, where it is the only reader of their output."""

KEEPS_SCALE = frozenset({Kind.SAME_SCALE, Kind.AVERAGE})
"""The kinds whose output has the scale of their inputs."""

FIXED_RANGES = {Kind.SIGMOID: (0.0, 255 / 256), Kind.TANH: (-1.0, 127 / 128)}
"""The ranges that TFLite prescribes for the int8 outputs of SOFTMAX and LOGISTIC, and of TANH."""

INT16_RANGE = (-1.0, 32767 / 32768)
"""The range that TFLite prescribes for the int16 outputs of all three."""


class Sign(enum.Enum):
    """What is known of the sign of an output."""

    ANY = "may be negative"
    KEPT = "is non-negative where all inputs are"
    NON_NEGATIVE = "is never negative"


class Extreme(enum.Enum):
    """What an operator does with the lowest or highest number of a type, the maximum of an empty segment."""

    CREATED = "returns it for a segment without rows"
    KEPT = "returns it where it is given it"
    REPLACED = "may return an ordinary value in its place"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewestBits:
    """The fewest bits in which LiteRT reads the weights of an operator.

    Attributes:
        trained: in a file of quantization-aware weights.
        post_training: where LiteRT's own quantizer rounds them.
        dynamic: next to float activations.
    """

    trained: int = 4
    post_training: int = 4
    dynamic: int = 8


OutputAxes: TypeAlias = "tuple[int, ...] | Callable[[Any], tuple[int, ...]]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelTraits:
    """One weight of a layer that is quantized.

    Attributes:
        attribute: of the layer, which holds the variable.
        outputs: the axes that number output channels, counted from the end; or a function of the layer.
        inputs: the axis that numbers input channels, counted from the end. None where no correction after
            training knows the layer.
        fewest_bits: in which LiteRT reads it.
    """

    attribute: str = "kernel"
    outputs: OutputAxes = (-1,)
    inputs: int | None = None
    fewest_bits: FewestBits = FewestBits()

    def output_axes(self, layer: Any) -> tuple[int, ...]:
        """Return the axes that number the output channels of the weight of a layer."""
        return self.outputs(layer) if callable(self.outputs) else self.outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpTraits:
    """What quantization knows of one class of operations. What depends on the config is a function of it.

    Attributes:
        kind: how it takes part; None where there is no rule, or none after its decomposition or rewrite.
        kernels: the weights that it multiplies by, or looks up, in the order in which it uses them.
        sign: what is known of the sign of its output.
        decomposition: the function that says what it is made of, as `module.function` of
            `canonicalize.decompose`. It may leave the operation whole.
        rewrite: the function that says it in simpler operations, as `module.function` of
            `canonicalize.rewrite`. It may keep the operation. It comes after the decomposition.
        unsupported: what to do instead, where no TFLite file can hold what is left of it, as a sentence
            without its full stop.
        exact_inputs: a function of a call that returns the inputs which must not be rounded: indices, values
            that are compared with the limits of bins, waveforms, and angles, which may be many turns.
        passes_indices: whether it returns indices where it is given some, rounded to whole numbers.
        casts: whether it changes the type of values alone.
        arithmetic: whether it adds, subtracts, multiplies or divides two tensors.
        neutral: the constant with which it returns its other operand. The converter then leaves it out.
        quantizes_constants: whether a constant among its operands needs a range of its own.
        transforms_waveforms: whether it makes a spectrum, whose quiet parts 8 bits do not hold.
        extreme: what it does with the limit of a type, where that is known.
        singular: whether it is not defined at 0, as the logarithm.
        in_keras_hub: whether the layer of that name in KerasHub is decomposed alike.
    """

    kind: Kind | Callable[[Any], Kind | None] | None = None
    kernels: tuple[KernelTraits, ...] = ()
    sign: Sign | Callable[[Any], Sign] = Sign.ANY
    decomposition: str | None = None
    rewrite: str | None = None
    unsupported: str | None = None
    exact_inputs: Callable[[Node], Sequence[Any]] | None = None
    passes_indices: bool = False
    casts: bool = False
    arithmetic: bool = False
    neutral: float | None = None
    quantizes_constants: bool = False
    transforms_waveforms: bool = False
    extreme: Extreme | None = None
    singular: bool = False
    in_keras_hub: bool = False

    def kind_of(self, operation: Any) -> Kind | None:
        """Return how an operation of this class takes part in quantization, None where there is no rule."""
        return self.kind(operation) if callable(self.kind) else self.kind

    def sign_of(self, operation: Any) -> Sign:
        """Return what is known of the sign of the output of an operation of this class."""
        return self.sign(operation) if callable(self.sign) else self.sign


def table_of(rows: Sequence[tuple[str, OpTraits]]) -> Mapping[str, OpTraits]:
    """Return name -> record of rows of names, separated by blanks, and a record. A name stands in one row."""
    table = {name: traits for names, traits in rows for name in names.split()}
    if len(table) < sum(len(names.split()) for names, _ in rows):
        raise ValueError("A name stands in two rows.")
    return table
