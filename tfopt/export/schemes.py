"""The schemes that a file can be written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tfopt.errors import InvalidArgumentError

SchemeName: TypeAlias = Literal["float32", "float16", "dynamic", "int8"]
EndType: TypeAlias = Literal["float32", "int8"]
"""The type of a file's input or output."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """What the converter is told.

    Attributes:
        optimize: whether it may quantize.
        float16: whether it may quantize to float16 only.
        integer: whether activations become integers, for which their ranges must be known.
        end_types: the types that inputs and outputs may have, the default first.
    """

    optimize: bool = False
    float16: bool = False
    integer: bool = False
    end_types: tuple[EndType, ...] = ("float32",)


SCHEMES: Mapping[str, Scheme] = {
    "float32": Scheme(),
    "float16": Scheme(optimize=True, float16=True),
    "dynamic": Scheme(optimize=True),
    "int8": Scheme(optimize=True, integer=True, end_types=("int8", "float32")),
}


def scheme_of(name: str) -> Scheme:
    """Return the scheme that is called `name`.

    Raises:
        InvalidArgumentError: none is.
    """
    if name not in SCHEMES:
        raise InvalidArgumentError(f"scheme must be one of {', '.join(SCHEMES)}, or None, got {name!r}.")
    return SCHEMES[name]


def end_type(argument: str, wanted: str | None, scheme: str) -> str:
    """Return the type of inputs or outputs: `wanted`, or the scheme's default where that is `None`.

    Args:
        argument: what an error message calls `wanted`.
        wanted: the type asked for.
        scheme: the name of the scheme.

    Raises:
        InvalidArgumentError: the scheme does not have it.
    """
    allowed = scheme_of(scheme).end_types
    if wanted is not None and wanted not in allowed:
        raise InvalidArgumentError(
            f"{argument} must be {' or '.join(map(repr, allowed))} for the scheme {scheme!r}, got {wanted!r}."
        )
    return wanted or allowed[0]
