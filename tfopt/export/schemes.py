"""The schemes that a file can be written in, and how each engine writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tfopt.errors import InvalidArgumentError

SchemeName: TypeAlias = Literal[
    "float32", "float16", "dynamic", "int8", "int16x8", "int8_weights", "int4_weights", "int4"
]
InputOutputType: TypeAlias = Literal["float32", "int8", "uint8", "int16"]
"""The dtype of a file's input or output."""
Engine: TypeAlias = Literal["keras", "converter", "litert-quantizer"]
"""Who turns floats into integers: tfopt's quantization-aware graph, TensorFlow's converter, or
litert-quantizer after it."""

ENGINES: tuple[Engine, ...] = ("keras", "converter", "litert-quantizer")


@dataclass(frozen=True, kw_only=True)
class FileScheme:
    """How a file is written in one scheme.

    Attributes:
        converter: the settings of TensorFlow's converter; `None` where it cannot write the scheme.
        entries: the fields of litert-quantizer's `Entry`s, the last that an operator can take being the one
            that it gets.
        integer: whether activations become integers, for which their ranges must be known.
        weight_bits: of the weights; `None` where they stay in float.
        input_output_types: the dtypes that inputs and outputs may have, the default first.
    """

    converter: Mapping[str, bool] | None = None
    entries: tuple[Mapping[str, Any], ...] = ()
    integer: bool = False
    weight_bits: int | None = 8
    input_output_types: tuple[InputOutputType, ...] = ("float32",)


FILE_SCHEMES: Mapping[str, FileScheme] = {
    "float32": FileScheme(converter={}, entries=({"mode": "float"},), weight_bits=None),
    "float16": FileScheme(
        converter={"optimize": True, "float16": True}, entries=({"mode": "float16"},), weight_bits=None
    ),
    "dynamic": FileScheme(converter={"optimize": True}, entries=({"mode": "dynamic"},)),
    "int8": FileScheme(
        converter={"optimize": True},
        entries=({"mode": "static"},),
        integer=True,
        input_output_types=("int8", "uint8", "float32"),
    ),
    "int16x8": FileScheme(
        converter={"optimize": True, "int16": True},
        entries=({"mode": "static", "activation_bits": 16},),
        integer=True,
        input_output_types=("int16", "float32"),
    ),
    "int8_weights": FileScheme(entries=({"mode": "weight_only"},)),
    "int4_weights": FileScheme(
        entries=(
            {"mode": "weight_only"},
            {"mode": "weight_only", "weight_bits": 4},
            {"mode": "dynamic", "weight_bits": 4, "granularity": "block"},
        ),
        weight_bits=4,
    ),
    "int4": FileScheme(
        entries=({"mode": "static"}, {"mode": "static", "weight_bits": 4}),
        integer=True,
        weight_bits=4,
        input_output_types=("int8", "uint8", "float32"),
    ),
}


def scheme_of(name: str) -> FileScheme:
    """Return the scheme that is called `name`.

    Raises:
        InvalidArgumentError: none is.
    """
    if name not in FILE_SCHEMES:
        raise InvalidArgumentError(f"scheme must be one of {', '.join(FILE_SCHEMES)}, or None, got {name!r}.")
    return FILE_SCHEMES[name]


def input_output_type(argument: str, wanted: str | None, scheme: str) -> str:
    """Return the type of inputs or outputs: `wanted`, or the scheme's default where that is `None`.

    Args:
        argument: what an error message calls `wanted`.
        wanted: the requested type.
        scheme: the name of the scheme.

    Raises:
        InvalidArgumentError: the scheme does not have it.
    """
    allowed = scheme_of(scheme).input_output_types
    if wanted is not None and wanted not in allowed:
        *others, last = map(repr, allowed)
        choice = f"{', '.join(others)} or {last}" if others else last
        raise InvalidArgumentError(f"{argument} must be {choice} for the scheme {scheme!r}, got {wanted!r}.")
    return wanted or allowed[0]
