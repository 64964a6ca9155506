"""Every tensor of a file while it runs, not only its outputs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.fields import operator_name, per_tensor, text, type_name
from tfopt.export.flatbuffer.read import parse
from tfopt.export.runtime.tflite_model import TFLiteModel, dequantized, quantize

Kernels: TypeAlias = Literal["delegate", "builtin", "reference"]
"""What computes a file: XNNPACK where it takes an operator, as LiteRT does by itself; LiteRT's optimized
kernels without it; its plain reference kernels, which microcontrollers follow."""

INPUT = "INPUT"
"""The operator of a tensor that the file is given."""


@dataclass(frozen=True)
class FileTensor:
    """A tensor that depends on the file's inputs and holds real numbers, as floats or on a grid.

    Attributes:
        index: its number among the file's tensors.
        position: the number of the operator that makes it; -1 for an input.
        name: in the file.
        operator: the name of what makes it, such as `"CONV_2D"`.
        dtype: such as `"int8"`.
        shape: with the batch size in front.
        scale, zero_point: real = scale * (integer - zero_point); `None` where it is not quantized.
        sources: the indices of those that it is made from.
    """

    index: int
    position: int
    name: str
    operator: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None
    zero_point: int | None
    sources: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


def file_tensors(file: TFLiteModel) -> tuple[FileTensor, ...]:
    """Return the inputs and what the operators make of them, in the order in which the file runs.

    Left out are constants, what depends on constants alone (weights that are unpacked), integers that
    hold no real numbers, floats that an integer tensor was turned into, and what loops compute.
    """
    model = parse(bytes(file))
    graph = model.subgraphs[0]
    found = [_described(graph.tensors[spec.index], spec.index, -1, INPUT) for spec in file.inputs]
    results = {spec.index for spec in file.outputs}
    origin = {int(index): int(index) for index in graph.inputs}
    for position, operator in enumerate(graph.operators or []):
        read = [int(index) for index in (operator.inputs if operator.inputs is not None else ())]
        sources = tuple(origin[index] for index in read if index in origin)
        made = [int(index) for index in operator.outputs]
        name = operator_name(model, operator)
        if sources and name == "DEQUANTIZE" and made[0] not in results:
            origin[made[0]] = sources[0]
        elif sources:
            origin |= {index: index for index in made}
            found += [_described(graph.tensors[i], i, position, name, sources) for i in made]
    return tuple(each for each in found if each.scale is not None or each.dtype.startswith("float"))


def _described(
    tensor: Any, index: int, position: int, operator: str, sources: tuple[int, ...] = ()
) -> FileTensor:
    scale, zero_point = per_tensor(tensor)
    shape = tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ()))
    name, dtype = text(tensor.name), type_name(tensor)
    return FileTensor(index, position, name, operator, dtype, shape, scale, zero_point, sources)


class Trace:
    """Runs a file and keeps what every operator makes.

    Args:
        file: to run.
        kernels: see `Kernels`.

    Raises:
        InvalidArgumentError: there are no such kernels, or LiteRT cannot run the file.
    """

    def __init__(self, file: TFLiteModel, kernels: Kernels = "delegate") -> None:
        _validation.choice("Trace", "kernels", kernels, get_args(Kernels))
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolvers = {
            "delegate": OpResolverType.AUTO,
            "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            "reference": OpResolverType.BUILTIN_REF,
        }
        if any(None in spec.shape for spec in file.inputs):
            raise InvalidArgumentError(
                "The tensors of a file are looked at in one size, and this one leaves sizes open: write it "
                "with whole numbers in input_shapes, to_tflite(model, input_shapes=...)."
            )
        file.require_runnable()
        self._specs = file.inputs
        try:
            with warnings.catch_warnings():
                # It warns that keeping all tensors takes memory, which is what is wanted.
                warnings.simplefilter("ignore", UserWarning)
                self._interpreter = Interpreter(
                    model_content=bytes(file),
                    num_threads=1,
                    experimental_op_resolver_type=resolvers[kernels],
                    experimental_preserve_all_tensors=True,
                )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InvalidArgumentError(
                f"LiteRT cannot run the file with kernels={kernels!r}: {error}"
            ) from error

    @property
    def batch_size(self) -> int:
        """How many samples the file takes at once."""
        return self._specs[0].batch_size

    def run(self, arrays: Sequence[np.ndarray], wanted: Sequence[FileTensor]) -> Mapping[int, np.ndarray]:
        """Return the index of each wanted tensor -> its real numbers, of shape (calls, size).

        Args:
            arrays: one an input, in the file's order, samples first; as many as fill whole batches.
            wanted: the tensors to keep.

        Raises:
            InvalidArgumentError: an operator of the file fails.
        """
        given = [quantize(array, spec) for array, spec in zip(arrays, self._specs, strict=True)]
        kept: dict[int, list[np.ndarray]] = {tensor.index: [] for tensor in wanted}
        for start in range(0, len(given[0]), self.batch_size):
            for spec, array in zip(self._specs, given, strict=True):
                self._interpreter.set_tensor(spec.index, array[start : start + self.batch_size])
            try:
                self._interpreter.invoke()
            except RuntimeError as error:
                raise InvalidArgumentError(f"LiteRT cannot run the file: {error}") from error
            for tensor in wanted:
                values = self._interpreter.get_tensor(tensor.index)
                kept[tensor.index].append(dequantized(values.ravel(), tensor.scale, tensor.zero_point))
        return {index: np.stack(calls) for index, calls in kept.items()}
