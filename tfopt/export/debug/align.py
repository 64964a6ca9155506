"""Matching the tensors of a file with the steps of a model."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.export.debug.intermediate_tensors import FileTensor
from tfopt.export.debug.match_tensors import Matcher
from tfopt.export.runtime.tflite_model import TFLiteModel
from tfopt.graph import EvaluatedStep, evaluate

SURE_DB = 15.0
"""So close, a tensor of the file can replace the model's when the tensors after it are matched."""
MAX_ROUNDS = 12
MATCHED_CALLS = 4
"""How many calls of the file are enough to tell its tensors from one another."""


class Values:
    """What a model computes of a chunk of samples: the number of a step -> (calls, size).

    Args:
        model: to run.
        chunk: one array an input.
        calls: how many calls of the file the chunk is.
        replaced: the number of a step -> what goes on in place of what it made.
        wanted: the numbers of the steps to keep; `None` keeps all.
    """

    def __init__(
        self,
        model: keras.Model,
        chunk: Sequence[np.ndarray],
        calls: int,
        replaced: Mapping[int, np.ndarray] = MappingProxyType({}),
        wanted: Container[int] | None = None,
    ) -> None:
        self.steps: list[EvaluatedStep] = []
        self.flat: dict[int, np.ndarray] = {}
        self._calls = calls
        self._replaced = replaced
        self._wanted = wanted
        self.outputs = [step.number for step in evaluate(model, chunk, self._visit)]

    def __getitem__(self, number: int) -> np.ndarray:
        return self.flat[number]

    def _visit(self, step: EvaluatedStep, value: Any) -> Any:
        self.steps.append(step)
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(value.dtype)):
            return value
        if self._wanted is not None and step.number not in self._wanted:
            return value
        array = keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))
        if array.size % self._calls == 0:  # else it does not depend on the samples
            self.flat[step.number] = array.reshape(self._calls, -1)
        if step.number not in self._replaced:
            return value
        other = self._replaced[step.number].reshape(array.shape)
        return keras.ops.convert_to_tensor(other, dtype=value.dtype)


def aligned(
    model: keras.Model,
    chunk: Sequence[np.ndarray],
    file: TFLiteModel,
    order: Sequence[int],
    tensors: Sequence[FileTensor],
    actual: Mapping[int, np.ndarray],
) -> tuple[dict[int, FileTensor], list[FileTensor]]:
    """Return the number of a step -> the file's tensor for it, and the tensors that have no step.

    Args:
        model: to run.
        chunk: samples, one array an input of the model.
        file: the other side.
        order: which of the model's inputs each of the file's is.
        tensors: of the file.
        actual: the index of a tensor -> what the file makes of the samples, of shape (calls, size).

    Raises:
        InvalidArgumentError: the file has an output of which the model has none.

    Errors grow from layer to layer until nothing resembles anything. So what is sure is put into the model
    in place of its own tensors, and the rest is matched again; where nothing is sure, the first that has a
    name, an end of the model or at least a place that tells of it.
    """
    calls = min(MATCHED_CALLS, len(next(iter(actual.values()))))
    batch = len(chunk[0]) // len(next(iter(actual.values())))
    few = [array[: calls * batch] for array in chunk] if model.inputs[0].shape[0] is None else chunk
    calls = len(few[0]) // batch
    seen = {index: values[:calls] for index, values in actual.items()}
    settled: dict[int, FileTensor] = {}
    for _ in range(MAX_ROUNDS):
        replaced = {number: seen[tensor.index] for number, tensor in settled.items()}
        values = Values(model, few, calls, replaced)
        matcher = Matcher(values.steps, values.flat)
        found, unmatched = matcher.match(tensors, seen, _of_inputs_outputs(file, order, seen, values))
        taken = {tensor.index: number for number, tensor in settled.items()}
        new = {
            number: tensor
            for number, (_, tensor) in found.items()
            if number not in settled and tensor.index not in taken
        }
        unmatched = [tensor for tensor in unmatched if tensor.index not in taken]
        sure = {number: tensor for number, tensor in new.items() if found[number][0] >= SURE_DB}
        chosen = sure or _first(matcher, new, unmatched, seen, taken)
        settled |= chosen
        if not chosen or (len(sure) == len(new) and not unmatched):
            break
    taken = {tensor.index: number for number, tensor in settled.items()}
    rest = {number: tensor for number, tensor in new.items() if tensor.index not in taken}
    return rest | settled, [tensor for tensor in unmatched if tensor.index not in taken]


def _first(
    matcher: Matcher,
    new: Mapping[int, FileTensor],
    unmatched: Sequence[FileTensor],
    seen: Mapping[int, np.ndarray],
    taken: Mapping[int, int],
) -> dict[int, FileTensor]:
    """Return the first tensor in the file that can be matched at all, with its step, or nothing."""
    guessed = {}
    for tensor in unmatched:
        if all(source in taken for source in tensor.sources):
            sources = [taken[source] for source in tensor.sources]
            number = matcher.guess(tensor, seen[tensor.index], sources, set(taken.values()))
            if number is not None:
                guessed[number] = tensor
                break
    both = [*new.items(), *guessed.items()]
    return dict(sorted(both, key=lambda item: item[1].position)[:1])


def _of_inputs_outputs(
    file: TFLiteModel, order: Sequence[int], actual: Mapping[int, np.ndarray], values: Values
) -> dict[int, list[int]]:
    """Return the index of each input and output of the file -> the steps that it may match."""
    found = {spec.index: [position] for spec, position in zip(file.inputs, order, strict=True)}
    for place, spec in enumerate(file.outputs):
        if spec.index in actual and spec.index not in found:
            rotated = values.outputs[place:] + values.outputs[:place]
            shape = actual[spec.index].shape
            found[spec.index] = [n for n in rotated if n in values.flat and values[n].shape == shape]
            if not found[spec.index]:
                raise InvalidArgumentError(
                    f"No output of the model has the size of the file's output {spec.name!r}, {spec.shape}. "
                    "Give the model that the file was made from."
                )
    return found
