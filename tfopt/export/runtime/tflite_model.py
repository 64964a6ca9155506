"""A TFLite file that can be run, measured and compared with the model that it came from."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tfopt.data.samples import in_parts
from tfopt.data.sets import as_samples
from tfopt.data.structure import comes_in_batches, fits, in_order, nested_map
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.export.flatbuffer.check_scales import are_unusual, require_scales
from tfopt.export.flatbuffer.class_names import with_class_names
from tfopt.export.flatbuffer.inputs_outputs import TensorSpec, inputs_and_outputs
from tfopt.export.flatbuffer.read import naming_damage, parse
from tfopt.export.flatbuffer.summary import FileSummary, inspect_file
from tfopt.export.runtime.findings import of_input
from tfopt.export.runtime.first_run import require_run, try_out
from tfopt.export.runtime.verify import Tolerance, Verification, verify
from tfopt.files import write_atomically
from tfopt.measure.size import raw_bytes

if TYPE_CHECKING:
    import keras

    from tfopt.measure.latency import Latency

Inputs: TypeAlias = "np.ndarray | tuple[np.ndarray, ...] | list[np.ndarray] | Mapping[str, np.ndarray]"
"""One array; for several inputs a tuple in the file's order or a dict by name. Samples first."""
Outputs: TypeAlias = "np.ndarray | dict[str, np.ndarray]"
"""One array; for several outputs a dict by name, in the file's order."""


class TFLiteModel:
    """The content of a TFLite file, run by LiteRT on one thread. Needs no TensorFlow.

    Args:
        content: of a file, or the path of one.

    Attributes:
        inputs, outputs: name, shape, dtype, scale and zero point of each, in the Keras model's order.

    Raises:
        InvalidArgumentError: there is no such file, it is no TFLite file or a damaged one, or a scale in it
            is NaN, infinite or not above zero.

    Example:
        >>> file = tfopt.TFLiteModel("model.tflite")
        >>> probabilities = file.predict(x)
    """

    def __init__(self, content: bytes | bytearray | memoryview | str | os.PathLike[str]) -> None:
        self._source = "The content"
        if isinstance(content, str | os.PathLike):
            self._source = str(content)
            content = _read(Path(content))
        elif not isinstance(content, bytes | bytearray | memoryview):
            raise InvalidArgumentError(
                f"A TFLite file is given as its path or its content in bytes, got {type(content).__name__}."
            )
        self._content = bytes(content)
        model = parse(self._content, self._source)
        with naming_damage(self._source):
            self.inputs, self.outputs = inputs_and_outputs(model)
            require_scales(model, self._source)
            self._untried = are_unusual(model)

    def __bytes__(self) -> bytes:
        return self._content

    def __len__(self) -> int:
        return raw_bytes(self._content)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._content,)

    def __repr__(self) -> str:
        specs = (f"{spec.name}: {spec.dtype} {list(spec.shape)}" for spec in (*self.inputs, *self.outputs))
        return f"TFLiteModel({len(self)} bytes, {', '.join(specs)})"

    def with_class_names(self, names: Sequence[str]) -> TFLiteModel:
        """Return the same model with the names of its classes in the file; `summary()` shows them.

        Args:
            names: one a class. Where they are only the numbers of the classes, or there are none, this model
                is returned as it is.
        """
        if list(names) == [str(number) for number in range(len(names))]:
            return self
        return TFLiteModel(with_class_names(self._content, names))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file to `path`, whole or not at all.

        Raises:
            RunError: the system refused, such as for a full disk.
        """
        write_atomically(path, self._content)

    def predict(self, x: Inputs) -> Outputs:
        """Return the outputs for any number of samples: real numbers in, real numbers out.

        Integer inputs and outputs are quantized and dequantized here.

        Args:
            x: of shape (samples, ...) each; see `Inputs`. Or a `tf.data.Dataset`, `keras.utils.PyDataset` or
                generator of batches, with labels or without.

        Returns:
            float32 of shape (samples, ...); a dict by name where there are several outputs.

        Raises:
            InvalidArgumentError: an input is missing or has another shape, or LiteRT fails at its values,
                such as a token beyond an embedding.
            DataError: a value that must be quantized is NaN or infinite.
        """
        return self._in_parts(self._predict, x)

    def _predict(self, x: Inputs) -> Outputs:
        outputs = {
            spec.name: dequantize(array, spec) for spec, array in zip(self.outputs, self._run(x), strict=True)
        }
        return _single(outputs)

    def predict_quantized(self, x: Inputs) -> Outputs:
        """Return the outputs as the file has them: integers on the grid of `outputs`' scale and zero point.

        Args, returns and raises: as `predict`, but for the type.
        """

        def run(part: Inputs) -> Outputs:
            return _single(dict(zip((spec.name for spec in self.outputs), self._run(part), strict=True)))

        return self._in_parts(run, x)

    def verify(
        self,
        model: keras.Model,
        x: Inputs,
        *,
        tolerance: Tolerance | None = None,
        classification: bool = True,
    ) -> Verification:
        """Return how far this file is from the Keras model that it was made from.

        Args:
            model: the Keras model.
            x: samples that no training saw, such as the test split; of a `tf.data.Dataset`, a
                `keras.utils.PyDataset` or a generator of batches the first 512.
            tolerance: how far they may be apart; `None` is that of the file's scheme in
                `tfopt.export.TOLERANCES`.
            classification: whether the outputs choose a class.

        Raises:
            InvalidArgumentError: `x` does not fit, or the model and the file have different outputs.
            DataError: `x` is empty, or holds NaN where it must be quantized.
        """
        from tfopt.export.runtime.keras_outputs import default_tolerance, is_own, outputs_of

        if comes_in_batches(x):
            from tfopt.data.labelled import labelled

            x, _ = labelled(x, "verify: x", split="test")
        arrays = self._arrays(x)
        if not len(arrays[0]):
            raise DataError("Verifying a file needs at least one sample, got none.")
        expected = outputs_of(model, arrays)
        if set(expected) != {spec.name for spec in self.outputs}:
            # A model that was rewritten may call them otherwise; their order stays.
            expected = dict(zip((spec.name for spec in self.outputs), expected.values(), strict=False))
        actual = {
            spec.name: dequantize(array, spec) for spec, array in zip(self.outputs, self._run(x), strict=True)
        }
        shapes = [{name: array.shape for name, array in each.items()} for each in (actual, expected)]
        if shapes[0] != shapes[1]:
            raise InvalidArgumentError(
                f"The outputs of the file, {shapes[0]}, are not those of {model.name!r}, {shapes[1]}. "
                "Verify a file with its own model."
            )
        steps = {spec.name: spec.step for spec in self.outputs}
        tolerance = tolerance or default_tolerance(model, self.summary().scheme)
        found = [
            finding
            for spec, array in zip(self.inputs, arrays, strict=True)
            for finding in (
                of_input(spec.name, np.asarray(array), spec.scale, limits_of(spec)) if spec.scale else ()
            )
        ]
        return verify(
            expected,
            actual,
            steps,
            tolerance,
            classification=classification,
            limits={spec.name: limits_of(spec) if spec.scale else None for spec in self.outputs},
            own=is_own(model),
            inputs=found,
        )

    def benchmark(self, *, turns: int = 50) -> Latency:
        """Return the latency of one call, on random input; see `tfopt.measure.latency`."""
        from tfopt.measure import latency

        self.require_runnable()
        return latency({"model": self._content}, turns=turns)["model"]

    def require_runnable(self, sample: Sequence[np.ndarray] | None = None, *, advice: str = "") -> None:
        """Raise if LiteRT cannot run the file, or would end this process; the first run is in another.

        `predict`, `verify` and `benchmark` call it by themselves, for files that may crash it:
        those whose scales lie extremely far apart. What `to_tflite` returns has been run.

        Args:
            sample: one array an input, real numbers, to run it on after zeros, whatever its scales are.
            advice: what to do where it fails, in which `{layer}` is replaced by the layer; then the error is
                that of a conversion.

        Raises:
            InvalidArgumentError: LiteRT cannot run the file.
            ConversionError: the same, where there is advice. Both name the operator and the layer.
        """
        if advice:
            arrays = (
                None
                if sample is None
                else [quantize(array, spec) for array, spec in zip(sample, self.inputs, strict=True)]
            )
            require_run(self._content, arrays, advice)
        elif self._untried:
            try_out(self._content, self._source)
        self._untried = False

    def summary(self) -> FileSummary:
        """Return what is in the file: operators, types, weights, zeros. `print` shows it."""
        return self._summary

    @cached_property
    def _summary(self) -> FileSummary:
        return inspect_file(self._content, self._source)

    @cached_property
    def _interpreter(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        self.require_runnable()
        try:
            interpreter = Interpreter(model_content=self._content, num_threads=1)
            if not self._has_open_sizes:
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InvalidArgumentError(f"LiteRT cannot run {self._source}: {error}") from error
        return interpreter

    @property
    def _has_open_sizes(self) -> bool:
        return any(None in spec.shape for spec in self.inputs)

    def _in_parts(self, run: Callable[[Inputs], Outputs], x: Inputs) -> Outputs:
        """Return the outputs for samples in memory, on disk, or in batches."""
        if not comes_in_batches(x):
            outputs: Outputs = in_parts(run, x)
            return outputs
        from tfopt.data.labelled import inputs_by_batch

        parts = [run(inputs) for inputs in inputs_by_batch(x, "The input")]
        if not parts:
            raise DataError("The input has no batches: give some, and a new generator for one that was read.")
        outputs = nested_map(lambda *arrays: np.concatenate(arrays), *parts)
        return outputs

    def _arrays(self, x: Inputs) -> list[np.ndarray]:
        arrays = in_order(x, [spec.name for spec in self.inputs], "The input")
        for spec, array in zip(self.inputs, arrays, strict=True):
            if not fits(array.shape, (None, *spec.shape[1:])):
                wanted = ", ".join(map(str, ("samples", *spec.shape[1:])))
                raise InvalidArgumentError(
                    f"The input {spec.name!r} must have the shape ({wanted}), got {array.shape}."
                )
        counts = [len(array) for array in arrays]
        if len(set(counts)) > 1:
            named = ", ".join(f"{spec.name!r}: {n}" for spec, n in zip(self.inputs, counts, strict=True))
            raise InvalidArgumentError(
                f"The inputs must have as many samples each, got {named}. "
                f"{as_samples([spec.shape for spec in self.inputs], counts)}"
            )
        return arrays

    def _run(self, x: Inputs) -> list[np.ndarray]:
        """Return the raw outputs, in order."""
        arrays = [quantize(array, spec) for array, spec in zip(self._arrays(x), self.inputs, strict=True)]
        samples, batch = len(arrays[0]), self.inputs[0].batch_size
        if samples == 0:
            return [
                np.zeros((0, *(size or 0 for size in spec.shape[1:])), spec.dtype) for spec in self.outputs
            ]
        interpreter = self._interpreter
        if self._has_open_sizes:
            for spec, array in zip(self.inputs, arrays, strict=True):
                interpreter.resize_tensor_input(spec.index, (batch, *array.shape[1:]))
            try:
                interpreter.allocate_tensors()
            except RuntimeError as error:
                raise InvalidArgumentError(
                    f"LiteRT cannot run {self._source} on inputs of the shapes "
                    f"{', '.join(str(array.shape[1:]) for array in arrays)}: {error}"
                ) from error
        batches: list[list[np.ndarray]] = [[] for _ in self.outputs]
        for start in range(0, math.ceil(samples / batch) * batch, batch):
            # A last batch that is not full is filled up; what comes of that is cut off below.
            rows = np.minimum(np.arange(start, start + batch), samples - 1)
            for spec, array in zip(self.inputs, arrays, strict=True):
                interpreter.set_tensor(spec.index, array[rows])
            try:
                interpreter.invoke()
            except RuntimeError as error:
                raise InvalidArgumentError(f"LiteRT cannot run {self._source}: {error}") from error
            for spec, kept in zip(self.outputs, batches, strict=True):
                kept.append(interpreter.get_tensor(spec.index))
        return [np.concatenate(kept)[:samples] for kept in batches]


def quantize(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return real numbers as the file's input takes them: q = round(x / scale) + zero_point, saturating."""
    if spec.scale is None or spec.zero_point is None:
        return np.ascontiguousarray(array, spec.dtype)
    if not np.all(np.isfinite(array)):
        raise DataError(
            f"The input {spec.name!r} holds NaN or infinity, which no integer can represent. Remove these "
            "samples."
        )
    limits = np.iinfo(spec.dtype)
    # Half upwards, as fake quantization in training rounds.
    integers = np.floor(np.asarray(array, np.float32) / np.float32(spec.scale) + 0.5) + spec.zero_point
    return np.asarray(np.clip(integers, limits.min, limits.max), spec.dtype)


def limits_of(spec: TensorSpec) -> tuple[float, float]:
    """Return the least and the largest real number that a quantized tensor can hold."""
    limits = np.iinfo(spec.dtype)
    low, high = dequantized(np.array([limits.min, limits.max], spec.dtype), spec.scale, spec.zero_point)
    return float(low), float(high)


def dequantize(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return a file's output as real numbers."""
    return dequantized(array, spec.scale, spec.zero_point)


def dequantized(array: np.ndarray, scale: float | None, zero_point: int | None) -> np.ndarray:
    """Return x = scale * (q - zero_point), or what is not quantized as it is, floats in float32."""
    if scale is None or zero_point is None:
        return array.astype(np.float32) if array.dtype.kind == "f" else array
    return (array.astype(np.float32) - zero_point) * np.float32(scale)


def _single(outputs: dict[str, np.ndarray]) -> Outputs:
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidArgumentError(f"There is no file {path}. Give the path of a .tflite file.") from error
    except OSError as error:
        raise InvalidArgumentError(f"Cannot read {path}: {error.strerror or error}.") from error
