"""The comparison of two TFLite files."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.inputs_outputs import OPEN_SIZE, TensorSpec
from tfopt.export.flatbuffer.summary import FileSummary
from tfopt.export.runtime.tflite_model import Inputs, TFLiteModel
from tfopt.export.runtime.verify import OutputDifference, difference
from tfopt.measure import Latency, latency

File: TypeAlias = "TFLiteModel | bytes | str | os.PathLike[str]"


@dataclass(frozen=True)
class FileComparison:
    """A file against a first one.

    Attributes:
        first, second: what is in each.
        first_latency, second_latency: measured by turns in one process.
        bytes_ratio, compressed_ratio, latency_ratio: second by first; below 1 is smaller or faster.
        outputs: how far the second's outputs are from the first's, in the LSB of the second's where they are
            integers; empty where the two have different inputs or outputs.
        samples: how many samples that was found on.
        random: whether these were made up.
    """

    first: FileSummary
    second: FileSummary
    first_latency: Latency
    second_latency: Latency
    bytes_ratio: float
    compressed_ratio: float
    latency_ratio: float
    outputs: tuple[OutputDifference, ...]
    samples: int
    random: bool

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        files = {"first": self.first.to_dict(), "second": self.second.to_dict()}
        return dataclasses.asdict(self) | files


def compare_files(
    first: File, second: File, x: Inputs | None = None, *, samples: int = 64, turns: int = 50
) -> FileComparison:
    """Compare two files: bytes, operators, latency, and the outputs for the same input.

    Args:
        first, second: paths, contents or `TFLiteModel`s.
        x: inputs to run both on; `None` makes up random ones.
        samples: how many to make up, 1 or more.
        turns: how often each file has its turn in the measurement, 1 or more.

    Raises:
        InvalidArgumentError: a file is missing or damaged, or `x` does not fit.
    """
    files = [each if isinstance(each, TFLiteModel) else TFLiteModel(each) for each in (first, second)]
    if samples < 1:
        raise InvalidArgumentError(f"samples must be 1 or more, got {samples}.")
    for file in files:
        file.require_runnable()
    times = latency({"first": bytes(files[0]), "second": bytes(files[1])}, turns=turns)
    summaries = [file.summary() for file in files]
    outputs: tuple[OutputDifference, ...] = ()
    count = 0
    if _shapes(files[0].inputs) == _shapes(files[1].inputs) and (
        _shapes(files[0].outputs) == _shapes(files[1].outputs)
    ):
        inputs = _random_inputs(files[0], files[1], samples) if x is None else x
        outputs, count = _differences(files[0], files[1], inputs)
    return FileComparison(
        first=summaries[0],
        second=summaries[1],
        first_latency=times["first"],
        second_latency=times["second"],
        bytes_ratio=summaries[1].bytes / summaries[0].bytes,
        compressed_ratio=summaries[1].compressed_bytes / summaries[0].compressed_bytes,
        latency_ratio=times["second"].ratio,
        outputs=outputs,
        samples=count,
        random=x is None,
    )


def _shapes(
    specs: tuple[TensorSpec, ...],
) -> dict[str, tuple[int | None, ...]] | list[tuple[int | None, ...]]:
    if len(specs) == 1:
        return [specs[0].shape[1:]]
    return {spec.name: spec.shape[1:] for spec in specs}


def _differences(
    first: TFLiteModel, second: TFLiteModel, x: Inputs
) -> tuple[tuple[OutputDifference, ...], int]:
    expected, actual = (
        outputs if isinstance(outputs, dict) else {"": outputs}
        for outputs in (first.predict(x), second.predict(x))
    )
    specs = second.outputs
    keys = [""] if len(specs) == 1 else [spec.name for spec in specs]
    found = tuple(
        difference(spec.name, expected[key], actual[key], spec.step, classification=True)
        for spec, key in zip(specs, keys, strict=True)
    )
    return found, len(actual[keys[0]])


def _random_inputs(first: TFLiteModel, second: TFLiteModel, samples: int) -> Inputs:
    generator = np.random.default_rng(0)
    others = {spec.name: spec for spec in second.inputs}
    arrays = {}
    for spec in first.inputs:
        other = others.get(spec.name, second.inputs[0])
        quantized = next((each for each in (spec, other) if each.scale is not None), None)
        sizes = (OPEN_SIZE if size is None else size for size in spec.shape[1:])
        arrays[spec.name] = _random(generator, (samples, *sizes), spec.dtype, quantized)
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def _random(
    generator: np.random.Generator, shape: tuple[int, ...], dtype: str, quantized: TensorSpec | None
) -> np.ndarray:
    if quantized is not None and quantized.scale is not None and quantized.zero_point is not None:
        # An integer input says in which range its values lie.
        limits = np.iinfo(quantized.dtype)
        low, high = (quantized.scale * (limit - quantized.zero_point) for limit in (limits.min, limits.max))
        return generator.uniform(low, high, shape).astype(np.float32)
    if dtype.startswith("float"):
        return generator.standard_normal(shape).astype(dtype)
    return np.zeros(shape, dtype)
