"""What quantization makes of a layer: bits, grids and how their ranges are found. Schemes are data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.quantization.observers import OBSERVERS

WEIGHT_BITS = (8, 7, 6, 5, 4, 3, 2, 1, None)
ACTIVATION_BITS = (8, 16, None)
WEIGHT_RANGES = ("max", "lsq", "mean")
ACTIVATION_RANGES = ("observed", "lsq", "pact")
ROUNDINGS = ("nearest", "stochastic")
BLOCK_SIZES = (32, 64, 128, 256, None)
"""LiteRT's delegate has no others: with blocks of 16 its plain kernel takes 60 times as long as in float."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scheme:
    """How the layers that it is given to are quantized.

    Weights are symmetric: integers from -(2**(weight_bits - 1) - 1) to its opposite, zero among them; with
    one bit they are -1 and 1.

    Attributes:
        weight_bits: bits of a kernel's weights, 1 to 8; None leaves them in float.
        activation_bits: bits of the activations, 8 or 16; None leaves them in float. With 16 the zero point
            is 0, and weights have 8 bits.
        per_channel: whether each output channel of a kernel has a scale of its own, or the kernel one. In the
            file of a trained copy each channel has one all the same where a BatchNormalization follows.
        block_size: how many inputs of an output channel share a scale, 32, 64, 128 or 256; None for one scale
            a channel. For weights of 2 to 4 bits and activations in float, in Dense layers (EinsumDense too)
            whose number of inputs it divides; other layers have one scale a channel. LiteRT multiplies blocks
            in integers alone, so such a layer rounds its inputs as with `dynamic`.
        dynamic: whether layers with a kernel round their inputs to 8 bits in the range that these have in
            this very sample, as the file does while it runs. For activations in float.
        symmetric: whether the zero point of activations is 0.
        observer: how the ranges of activations are found, by name: `"moving_average"`, `"min_max"`,
            `"percentile"`, `"mse"` or `"entropy"`; see `ActivationQuantizer`.
        weight_range: how the scale of weights is found. `"max"`: from the largest magnitude. `"lsq"`: it is
            trained (Esser et al., 2020, Learned Step Size Quantization, arXiv 1902.08153). `"mean"`, for 1
            and 2 bits: from mean magnitudes (see the schemes `"binary"` and `"ternary"`).
        activation_range: `"observed"`, or trained: `"lsq"`, `"pact"`.
        rounding: of weights in training: to the `"nearest"` integer, or to one of the two neighbours with
            `"stochastic"` probability. At inference always to the nearest.

    Raises:
        InvalidArgumentError: a value out of its range, or two that exclude each other.
    """

    weight_bits: int | None = 8
    activation_bits: int | None = 8
    per_channel: bool = True
    block_size: int | None = None
    dynamic: bool = False
    symmetric: bool = False
    observer: str = "moving_average"
    weight_range: str = "max"
    activation_range: str = "observed"
    rounding: str = "nearest"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            _validation.choice("Scheme", name, getattr(self, name), choices)
        for name in ("per_channel", "symmetric", "dynamic"):
            _validation.flag("Scheme", name, getattr(self, name))
        for name in ("weight_bits", "activation_bits", "block_size"):
            value = getattr(self, name)
            if value is not None and not _validation.is_whole(value):  # True and 8.0 equal integers
                raise InvalidArgumentError(f"Scheme: expected {name} to be a whole number, got {value!r}.")
        if self.weight_bits is None and self.activation_bits is None:
            raise InvalidArgumentError(
                "A Scheme with weights and activations in float quantizes nothing: give weight_bits, or "
                "None in place of the scheme."
            )
        if self.activation_bits == 16 and (self.weight_bits != 8 or self.activation_range != "observed"):
            raise InvalidArgumentError(
                "LiteRT multiplies activations of 16 bits with weights of 8, and their ranges need no "
                f"training: expected weight_bits=8 and activation_range='observed', got {self.weight_bits} "
                f"and {self.activation_range!r}."
            )
        if self.weight_bits == 1 and self.weight_range != "mean":
            raise InvalidArgumentError(
                f"Weights of 1 bit are -1 and 1 times their mean magnitude: expected weight_range='mean', "
                f"got {self.weight_range!r}."
            )
        if self.weight_range == "mean" and self.weight_bits not in (1, 2):
            raise InvalidArgumentError(
                f"weight_range='mean' is for weight_bits of 1 and 2, got {self.weight_bits}: take 'max' or "
                "'lsq'."
            )
        if self.rounding == "stochastic" and self.weight_range == "mean":
            raise InvalidArgumentError(
                "weight_range='mean' chooses between few values by thresholds: expected rounding='nearest', "
                "got 'stochastic'."
            )
        if self.dynamic and self.activation_bits is not None:
            raise InvalidArgumentError(
                "dynamic=True rounds the inputs of layers whose activations are in float: expected "
                f"activation_bits=None, got {self.activation_bits}."
            )
        self._require_blocks_that_litert_has()

    def _require_blocks_that_litert_has(self) -> None:
        if self.block_size is None:
            return
        needed = {
            "weight_bits of 2, 3 or 4": self.weight_bits in (2, 3, 4),
            "activation_bits=None": self.activation_bits is None,
            "per_channel=True": self.per_channel,
            "weight_range='max' or 'lsq'": self.weight_range != "mean",
        }
        missing = [name for name, given in needed.items() if not given]
        if missing:
            raise InvalidArgumentError(
                "LiteRT has blocks of 4-bit weights that share a scale, with float activations only: with "
                f"block_size={self.block_size}, expected {' and '.join(missing)}; or leave block_size out."
            )

    def get_config(self) -> dict[str, Any]:
        """Return the fields, JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Scheme:
        """Return the scheme that `get_config` described.

        Raises:
            InvalidArgumentError: it names a field that there is not, or a value out of its range.
        """
        unknown = sorted({*config} - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            known = ", ".join(field.name for field in dataclasses.fields(cls))
            raise InvalidArgumentError(f"A Scheme has no field {unknown[0]!r}; it has {known}.")
        return cls(**config)


_CHOICES: dict[str, tuple] = {
    "weight_bits": WEIGHT_BITS,
    "activation_bits": ACTIVATION_BITS,
    "block_size": BLOCK_SIZES,
    "observer": tuple(OBSERVERS),
    "weight_range": WEIGHT_RANGES,
    "activation_range": ACTIVATION_RANGES,
    "rounding": ROUNDINGS,
}

SCHEMES: Mapping[str, Scheme] = {
    "int8": Scheme(),
    "int4": Scheme(weight_bits=4),
    "ternary": Scheme(weight_bits=2, weight_range="mean"),
    "binary": Scheme(weight_bits=1, weight_range="mean"),
    "int16x8": Scheme(activation_bits=16),
    "int8_weights": Scheme(activation_bits=None),
    "int4_weights": Scheme(weight_bits=4, activation_bits=None, block_size=32),
    "dynamic": Scheme(activation_bits=None, dynamic=True),
}
"""Name -> scheme. `binary` and `ternary` have int8 activations, as `int4` does."""

AFTER_TRAINING = ("float16",)
"""What only a file can be written in: it simulates nothing that training could learn."""

SchemeLike: TypeAlias = str | Scheme


def scheme_of(value: Any) -> Scheme:
    """Return a scheme given by name, as itself or as its config.

    Raises:
        InvalidArgumentError: it is none of these.
    """
    if isinstance(value, Scheme):
        return value
    if isinstance(value, Mapping):
        return Scheme.from_config(value)
    if isinstance(value, str) and value in AFTER_TRAINING:
        raise InvalidArgumentError(
            f"{value!r} is a scheme of files alone: half precision moves a weight by less than one update of "
            "training does, so training with it is not supported: pass the float model to "
            f"tfopt.to_tflite(model, {value!r}), or train for 'int8_weights' or 'dynamic'."
        )
    if not isinstance(value, str) or value not in SCHEMES:
        raise InvalidArgumentError(
            f"Expected one of the schemes {', '.join(map(repr, SCHEMES))}, or a tfopt.quantization.Scheme, "
            f"got {value!r}."
        )
    return SCHEMES[value]


def without_config(value: Any) -> SchemeLike | None:
    """Return a scheme given in any form as a name or a `Scheme`; None stays None.

    Raises:
        InvalidArgumentError: as `scheme_of`.
    """
    scheme = None if value is None else scheme_of(value)
    return value if isinstance(value, str) else scheme
