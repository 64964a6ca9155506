"""Quantizing a float TFLite file with Google's litert-quantizer: bytes in, bytes out.

What the TensorFlow converter cannot write comes from here: weights of 4 and 2 bits, one scale for a block of
weights, another precision for each operator, and the algorithms that look for better weights than rounding
to nearest.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np

from tfopt import _validation
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export.flatbuffer.inputs_outputs import SIGNATURE
from tfopt.export.flatbuffer.read import parse
from tfopt.export.options import ALGORITHMS

Mode: TypeAlias = Literal["float", "float16", "weight_only", "dynamic", "static"]
Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""Name of a tensor in the file -> its smallest and largest value."""

ANY = "*"
"""Every operator."""

GRANULARITIES: Mapping[str, str] = MappingProxyType(
    {"tensor": "TENSORWISE", "channel": "CHANNELWISE"}
    | {f"block_{size}": f"BLOCKWISE_{size}" for size in (32, 64, 128, 256)}
)
"""How many weights share a scale -> what litert-quantizer calls it."""

LEAST_MAXIMUM = {8: 1e-5, 16: 1e-3}
"""Activation bits -> the limit of the smallest range: 6 on a finer grid does not fit into 32 bits."""


class CalibrationError(ConversionError):
    """An engine would have to look for the ranges of tensors where it cannot, such as in a loop."""


_UNSEEN = "Tensor data is null"
_ADVICE = (
    ". It cannot look at what passes through loops and fused operators: take engine='keras', or a scheme "
    "that quantizes weights alone."
)
_STATIC = ("min_max", "octav")
_STATISTICS = {"gptq": "gptq_and_moving_average_update", "oscar": "oscar_and_moving_average_update"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How some operators of a file are quantized; of several entries that fit an operator the last wins.

    What the runtime has no kernel for stays as an earlier entry says, or float.

    Attributes:
        scope: a regular expression that is searched in the names of an operator's outputs, each with a `;`
            after it.
        operation: an operator as TFLite calls it, such as `"FULLY_CONNECTED"`, or `"*"` for all.
        mode: `"float"`, as it is; `"float16"`, weights in half precision; `"weight_only"`, integer weights
            turned into float before use; `"dynamic"`, integer weights and activations quantized while the
            file runs; `"static"`, integer weights and activations.
        weight_bits: 8, 4, or 2, which is for `"dynamic"` only.
        activation_bits: 8 or 16; for `"static"` only.
        granularity: which weights share a scale, one of `GRANULARITIES`. Blocks are for `"dynamic"` weights
            of 4 and 2 bits.
        algorithm: how weights are rounded, one of `ALGORITHMS`.

    Raises:
        InvalidArgumentError: a value is unknown, or none of LiteRT's kernels takes them together.
    """

    scope: str = ".*"
    operation: str = ANY
    mode: Mode = "dynamic"
    weight_bits: int = 8
    activation_bits: int = 8
    granularity: str = "channel"
    algorithm: str = "min_max"

    def __post_init__(self) -> None:
        _validation.choice(
            "Entry", "mode", self.mode, ("float", "float16", "weight_only", "dynamic", "static")
        )
        _validation.choice("Entry", "weight_bits", self.weight_bits, (8, 4, 2))
        _validation.choice("Entry", "activation_bits", self.activation_bits, (8, 16))
        _validation.choice("Entry", "granularity", self.granularity, GRANULARITIES)
        _validation.choice("Entry", "algorithm", self.algorithm, ALGORITHMS)
        block = self.granularity.startswith("block")
        if self.mode != "dynamic" and (block or self.weight_bits == 2):
            raise InvalidArgumentError(
                "Entry: LiteRT computes with weights of 2 bits and with blocks in the mode 'dynamic' only, "
                f"got mode={self.mode!r}, weight_bits={self.weight_bits}, granularity={self.granularity!r}."
            )
        if self.mode == "static" and self.algorithm not in _STATIC:
            # Others leave the activations of their operators on another grid than their neighbours'.
            raise InvalidArgumentError(
                f"With integer activations, expected algorithm to be one of {', '.join(map(repr, _STATIC))}, "
                f"got {self.algorithm!r}: take a scheme that quantizes the weights alone."
            )
        if block and self.weight_bits == 8:
            raise InvalidArgumentError("Entry: expected weight_bits of 4 or 2 with blocks, got 8.")
        try:
            re.compile(self.scope)
        except re.error as error:
            raise InvalidArgumentError(
                f"Entry: expected scope to be a regular expression, got {self.scope!r}: {error}."
            ) from error


def quantize_file(
    content: bytes,
    entries: Sequence[Entry],
    *,
    samples: Iterable[Mapping[str, np.ndarray]] | None = None,
    ranges: Ranges | None = None,
) -> bytes:
    """Return a float TFLite file with integers in it.

    Args:
        content: a file in float32 with a signature, as `to_tflite(model, "float32")` writes it.
        entries: what is quantized, and how.
        samples: dicts of input name -> array of the input's whole shape, for entries whose mode is
            `"static"` or whose algorithm is `"gptq"` or `"oscar"`: the range of a tensor is from the
            smallest to the largest value that any sample gives it.
        ranges: known ranges, such as those that a model was trained with. They replace what the samples
            say; where every tensor has one, no samples are needed.

    Raises:
        InvalidArgumentError: `content` is no TFLite file, or the entries need samples or ranges and have
            none.
        ConversionError: litert-quantizer refused the file.
    """
    if not entries:
        raise InvalidArgumentError("quantize_file needs one entry or more, got none.")
    parse(content, "The file to quantize")
    seen: dict[str, dict[str, Any]] = {}
    with _translated():
        from litert_quantizer import Quantizer

        quantizer = _with_entries(Quantizer(content), entries)
        if samples is not None and needs_samples(entries):
            seen = _observed(content, entries, list(samples))
    _widen(seen, entries)
    for name, (low, high) in (ranges or {}).items():
        seen.setdefault(name, {}).update(min=_single(low), max=_single(high))
    if needs_samples(entries) and not seen:
        raise InvalidArgumentError(
            "Integer activations, and the algorithms gptq and oscar, must see data: give quantize_file "
            "samples or ranges."
        )
    with _translated():
        result = quantizer.quantize(seen or None, enable_progress_report=False)
    return bytes(result.quantized_model)


def needs_samples(entries: Iterable[Entry]) -> bool:
    """Return whether one of `entries` needs to see what passes through the model."""
    return any(entry.mode == "static" or entry.algorithm in _STATISTICS for entry in entries)


def _with_entries(quantizer: Any, entries: Iterable[Entry]) -> Any:
    from litert_quantizer.qtyping import QuantGranularity, TFLOperationName

    for number, entry in enumerate(entries):
        # An entry for all operators would delete an earlier one of the very same scope; comments differ.
        where = (f"{entry.scope}(?#{number})", TFLOperationName(entry.operation))
        how = (QuantGranularity[GRANULARITIES[entry.granularity]], ALGORITHMS[entry.algorithm])
        if entry.mode == "float":
            quantizer.update_quantization_recipe(*where, algorithm_key="no_quantize")
        elif entry.mode == "float16":
            quantizer.add_weight_only_config(*where, 16, algorithm_key="float_casting")
        elif entry.mode == "weight_only":
            quantizer.add_weight_only_config(*where, entry.weight_bits, *how)
        elif entry.mode == "dynamic":
            quantizer.add_dynamic_config(*where, entry.weight_bits, *how)
        else:
            quantizer.add_static_config(*where, entry.activation_bits, entry.weight_bits, *how)
    return quantizer


def _observed(content: bytes, entries: Sequence[Entry], samples: list[Any]) -> dict[str, dict[str, Any]]:
    """Return name of a tensor -> what `samples` put into it: its range, and what an algorithm asks for."""
    from litert_quantizer import Quantizer, calibrator, recipe_manager
    from litert_quantizer.utils import qsv_utils

    found: dict[str, dict[str, Any]] = {}
    # One pass an algorithm: in a common one, a tensor would be kept as the first operator wants it.
    for algorithm in dict.fromkeys(entry.algorithm for entry in entries):
        chosen = [entry for entry in entries if entry.algorithm == algorithm and needs_samples([entry])]
        if not chosen:
            continue
        merge = getattr(qsv_utils, _STATISTICS.get(algorithm, "min_max_update"))

        def update(known: Any, new: Any, merge: Any = merge) -> Any:
            # The quantizer's moving averages hardly remember the first samples, and miss the extremes.
            return {**merge(known, new), **qsv_utils.min_max_update(known, new)}

        recipe = recipe_manager.RecipeManager()
        recipe.load_quantization_recipe(_with_entries(Quantizer(content), chosen).get_quantization_recipe())
        observer = calibrator.Calibrator(content, num_threads=1, qsv_update_func=update)
        observer.calibrate({SIGNATURE: samples}, recipe)
        for name, statistics in observer.get_model_qsvs().items():
            found.setdefault(name, {}).update(statistics)
    return found


def _widen(seen: dict[str, dict[str, Any]], entries: Sequence[Entry]) -> None:
    """Give a tensor that is as good as zero everywhere a range for which LiteRT's ReLU6 has an integer."""
    bits = max((entry.activation_bits for entry in entries if entry.mode == "static"), default=8)
    for statistics in seen.values():
        if np.max(statistics["max"]) < LEAST_MAXIMUM[bits]:
            statistics["max"] = np.full_like(statistics["max"], LEAST_MAXIMUM[bits])


def _single(value: float) -> np.ndarray:
    return np.asarray(value, np.float32).reshape(1)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what litert-quantizer raises into an error for a person, and keep it quiet."""
    try:
        # Its progress bars, and LiteRT's warning that looking at all tensors takes memory.
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ValueError, RuntimeError, LookupError, TypeError, ArithmeticError) as error:
        said = str(error) or type(error).__name__
        if _UNSEEN in said:
            raise CalibrationError(f"litert-quantizer refused the file: {said}{_ADVICE}") from error
        raise ConversionError(f"litert-quantizer refused the file: {said}") from error
