"""What the quantizers of a model are called: after what makes the first of their tensors."""

from __future__ import annotations

from typing import Any

_QUANTIZER = ".quantizer"
_TO_8_BITS = ".int8"


def quantizer_name(producer: str) -> str:
    """Return the name of the quantizer whose first tensor an operation or an input of the name makes."""
    return producer + _QUANTIZER


def requantizer_name(int16: str) -> str:
    """Return the name of the quantizer that rounds to 8 bits what has passed the quantizer `int16`."""
    return quantizer_name(quantized_by(int16) + _TO_8_BITS)


def quantized_by(quantizer: str) -> str:
    """Return the name of what makes the first tensor of a quantizer; the name of something else as it is."""
    return quantizer.removesuffix(_QUANTIZER)


def with_requantizes(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a quantizer with what it requantizes, which older files do not hold.

    There, the name alone says so.
    """
    if "requantizes" in config:
        return config
    tensor = quantized_by(config.get("name", ""))
    requantizes = tensor.endswith(_TO_8_BITS)
    int16 = quantizer_name(tensor.removesuffix(_TO_8_BITS)) if requantizes else None
    return {**config, "requantizes": int16}
