"""Which tensor of a file is which tensor of the Keras model.

Names say it where a converter has kept the layers' (`block/conv:convolution`, `model_1/block/conv_2/Relu`);
among the tensors that a name may mean, the values decide. Where no name helps, only values do.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import numpy as np

from tfopt.export.debug.intermediate_tensors import FileTensor
from tfopt.export.flatbuffer.tensor_names import LAYER_END
from tfopt.export.runtime.verify import snr_db
from tfopt.graph import EvaluatedStep
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer

SAME_DB = 3.0
"""A tensor that a name may mean is taken for it if they are no further apart."""
ALIKE_DB = 12.0
"""Without a name they must be so close: it takes a correlation of 0.97."""
TIE_DB = 6.0
"""By so much another may be closer than the named one by chance: a ReLU may change hardly a value."""
_SEEN = 4096
"""How many values of a sample are compared; large tensors are alike in a part as in the whole."""
_FUSED = 6
"""How many operations after the named one may be a part of the same operator."""

_NUMBER = re.compile(r"_\d+$")
_SCOPES = re.compile(r"[/:.]")
_END = re.compile(r":\d+$")


class _Sample(NamedTuple):
    """Some values of each call of a tensor.

    Attributes:
        size: how many values each call has.
        values: those that are compared, of shape (calls, `_SEEN` at most).
    """

    size: int
    values: np.ndarray

    def alike(self, other: _Sample) -> bool:
        """Return whether both are of tensors of one size."""
        return self.size == other.size and self.values.shape == other.values.shape


class Matcher:
    """Matches the tensors of a file with those of a model.

    Args:
        steps: what the model computes.
        values: the number of a step -> its real numbers, of shape (calls, size), for some samples.
    """

    def __init__(self, steps: Sequence[EvaluatedStep], values: Mapping[int, np.ndarray]) -> None:
        self._steps = steps
        self._readers: dict[int, list[int]] = defaultdict(list)
        for step in steps:
            for source in step.sources:
                self._readers[source].append(step.number)
        self._values = {step.number: _sample(values[step.number]) for step in steps if step.number in values}
        self._by_path: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for step in steps:
            self._by_path[tuple(_SCOPES.split(path_of(steps, step.number)))].append(step.number)

    def _held(self, number: int, tensor: FileTensor, values: _Sample) -> int:
        """Return the step whose tensor a file holds: of integers, that of the quantizer after it.

        Unless they are on a finer grid: a sigmoid has 1/256, whatever the range is of what it is joined with.
        """
        readers = self._readers[number]
        rounded = bool(readers) and all(is_quantizer(self._steps[reader]) for reader in readers)
        if not rounded or tensor.scale is None:
            return number
        before, after = (self._closest([each], values)[1] for each in (number, readers[0]))
        return number if before > after + TIE_DB else readers[0]

    def match(
        self, tensors: Sequence[FileTensor], values: Mapping[int, np.ndarray], known: Mapping[int, list[int]]
    ) -> tuple[dict[int, tuple[float, FileTensor]], list[FileTensor]]:
        """Return step number -> SNR in decibels and tensor of the file, and the tensors that match nothing.

        Args:
            tensors: of the file.
            values: the index of a tensor -> its real numbers for the same samples, of shape (calls, size).
            known: the index of an input or output of the file -> the steps that it may match.
        """
        found: dict[int, list[tuple[float, FileTensor]]] = defaultdict(list)
        unmatched = []
        # What a layer computes on the way has its name too: its result is the last.
        results = {self._layer(tensor): tensor.index for tensor in tensors}
        for tensor in tensors:
            is_result = results[self._layer(tensor)] == tensor.index
            seen = _sample(values[tensor.index])
            number, similarity = self._step_of(tensor, seen, known.get(tensor.index), is_result)
            if number is None:
                unmatched.append(tensor)
            else:
                found[number].append((similarity, tensor))
        # A reshaped tensor is in the file twice: the first is what the operator made.
        return {number: max(pairs, key=lambda pair: pair[0]) for number, pairs in found.items()}, unmatched

    def guess(
        self, tensor: FileTensor, values: np.ndarray, sources: Sequence[int], taken: AbstractSet[int]
    ) -> int | None:
        """Return the step that a tensor most likely matches, by nothing but its place and its size.

        Args:
            tensor: that matches nothing.
            values: its real numbers.
            sources: the steps that its operator's inputs match.
            taken: steps that are matched already.
        """
        reached, waiting, part = set[int](), list(sources), _sample(values)
        for _ in range(_FUSED):
            readers = [reader for number in waiting for reader in self._readers[number]]
            # Beyond a tensor that is matched, before or after its quantizer, this one cannot be.
            waiting = [reader for reader in readers if not {reader, *self._quantizers(reader)} & taken]
            reached |= {self._held(number, tensor, part) for number in waiting}
        alike = sorted(reached)
        quantizers = [number for number in alike if is_quantizer(self._steps[number])]
        number, _ = self._closest(quantizers if tensor.scale is not None else (), part)
        return self._closest(alike, part)[0] if number is None else number

    def _step_of(
        self, tensor: FileTensor, values: _Sample, known: Iterable[int] | None, is_result: bool
    ) -> tuple[int | None, float]:
        if known is not None:
            candidates = [self._held(number, tensor, values) for number in known]
            number, similarity = self._closest(candidates, values)
            return (candidates[0] if similarity < SAME_DB else number), similarity
        exact, others = self._named(tensor.name)
        meant = [self._held(number, tensor, values) for number in self._with_followers((*exact, *others))]
        number, similarity = self._closest(meant, values)
        if tensor.scale is None:  # what is not on a grid has passed no quantizer
            exact = [number for number in exact if not is_quantizer(self._steps[number])]
        held = [self._held(number, tensor, values) for number in exact[-1:]]
        named, named_similarity = self._closest(held, values)
        sure = not others or LAYER_END in _END.sub("", tensor.name)
        close = similarity >= (SAME_DB if is_result else ALIKE_DB)
        if named is not None and named_similarity >= similarity - TIE_DB and (close or (sure and is_result)):
            return named, named_similarity
        if close:
            return number, similarity
        held = [self._held(number, tensor, values) for number in self._values]
        number, similarity = self._closest(held, values)
        return (number, similarity) if similarity >= ALIKE_DB else (None, similarity)

    def _quantizers(self, number: int) -> list[int]:
        return [reader for reader in self._readers[number] if is_quantizer(self._steps[reader])]

    def _layer(self, tensor: FileTensor) -> str:
        """Return the path that a tensor's name means, or the name itself."""
        exact, _ = self._named(tensor.name)
        return path_of(self._steps, exact[-1]) if exact else tensor.name

    def _named(self, name: str) -> tuple[list[int], list[int]]:
        """Return the steps that a tensor's name means as it stands, of the longest path, and all others."""
        parts = [tuple(_SCOPES.split(_END.sub("", part))) for part in name.split(";")]
        exact = {run for part in parts for run in _runs(part) if run in self._by_path}
        longest = {path for path in exact if len(path) == max(map(len, exact))}
        others = {path for part in parts for path in _paths(part) if path in self._by_path} - longest
        return self._steps_of(longest), self._steps_of(others)

    def _steps_of(self, paths: Iterable[tuple[str, ...]]) -> list[int]:
        return sorted(number for path in paths for number in self._by_path[path])

    def _with_followers(self, numbers: Iterable[int]) -> list[int]:
        """Return the steps and those after them that an operator may have taken in."""
        found = set(numbers)
        for number in [*found]:
            for _ in range(_FUSED):
                readers = self._readers[number]
                if len(readers) != 1:
                    break
                number = readers[0]
                found.add(number)
        return sorted(found)

    def _closest(self, numbers: Iterable[int], values: _Sample) -> tuple[int | None, float]:
        alike = [
            (self._similarity(number, values), -number)
            for number in numbers
            if number in self._values and self._values[number].alike(values)
        ]
        similarity, negative = max(alike, default=(-math.inf, 0))
        return (None, -math.inf) if not alike else (-negative, similarity)

    def _similarity(self, number: int, values: _Sample) -> float:
        expected = self._values[number].values
        with np.errstate(invalid="ignore"):  # a NaN counts as no similarity
            return snr_db(float(np.sum(expected**2)), float(np.sum((values.values - expected) ** 2)))


def is_quantizer(step: EvaluatedStep) -> bool:
    """Return whether a step only puts a tensor on the integer grid."""
    return isinstance(step.operation, (ActivationQuantizer, FixedQuantizer))


def path_of(steps: Sequence[EvaluatedStep], number: int) -> str:
    """Return the path of a step; of a quantizer, that of what it quantizes."""
    step = steps[number]
    return path_of(steps, step.sources[0]) if is_quantizer(step) else step.path


def _sample(values: np.ndarray) -> _Sample:
    """Return some of the values of each call, the same of all tensors of one size."""
    size = values.shape[1]
    return _Sample(size, values[:, :: -(-size // _SEEN) or 1].astype(np.float64))


def _paths(scopes: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield every path that TensorFlow's scopes may mean: one that is entered again is numbered."""
    for run in _runs(scopes):
        choices = [dict.fromkeys((scope, _NUMBER.sub("", scope))) for scope in run]
        yield from itertools.product(*choices)


def _runs(scopes: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield every run of neighbouring scopes, of 4 at most."""
    for start in range(len(scopes)):
        for end in range(start + 1, min(start + 4, len(scopes)) + 1):
            yield scopes[start:end]
