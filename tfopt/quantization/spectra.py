"""What is computed of sounds on the way to a spectrum, and of that before the first trained layer, in float.

The quiet parts of a sound and of its spectrum are thousands of times smaller than the loud ones; a logarithm
lifts them, and 255 values in a range do not hold them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import keras

from tfopt.graph import Constant, Node, nodes, valued
from tfopt.quantization.operations import Kind

SOURCES = frozenset({"RFFT", "STFT", "RealTransform", "CosineTransform", "STFTSpectrogram", "MelSpectrogram"})
"""The names of the classes that transform sounds."""

_OF_EITHER = frozenset({"Add", "Subtract", "Multiply", "Divide", "TrueDivide"})
"""Operations on two tensors that are spectra where one is: a mask that a network made is laid on one."""


def of_spectra(model: keras.Model, kinds: Mapping[int, Kind]) -> set[int]:
    """Return the `id` of each operation that makes spectra, or is made of them or leads to them.

    Args:
        model: canonical.
        kinds: `id` of each operation -> its kind.
    """
    graph = nodes(model)
    found = {id(node.operation) for node in graph if type(node.operation).__name__ in SOURCES}
    if not found:
        return found
    constants: set[int] = set()
    spectra: set[int] = set()
    for node in graph:
        made = {id(x) for x in node.outputs}
        if _is_constant(node, constants):
            constants |= made
        elif id(node.operation) in found or _is_of_spectra(node, kinds, spectra, constants):
            found.add(id(node.operation))
            spectra |= made
    readers: dict[int, list[Node]] = defaultdict(list)
    for node in graph:
        for x in node.inputs:
            readers[id(x)].append(node)
    final = {id(x) for x in model.outputs}
    for node in reversed(graph):
        read = [id(reader.operation) in found for x in node.outputs for reader in readers[id(x)]]
        if not read or any(id(x) in final for x in node.outputs):
            continue
        if all(read) and not _is_trained(node, kinds):
            found.add(id(node.operation))
        elif not any(read) and kinds[id(node.operation)] is Kind.SAME_SCALE:
            found.discard(id(node.operation))  # whether before or after a rounding is all the same
    return found


def _is_constant(node: Node, constants: set[int]) -> bool:
    """Return whether a node makes nothing of the inputs of the model."""
    if isinstance(node.operation, Constant):
        return True
    values = valued(node.operation, node.inputs)
    return bool(values) and all(id(x) in constants for x in values)


def _is_of_spectra(node: Node, kinds: Mapping[int, Kind], spectra: set[int], constants: set[int]) -> bool:
    read = [
        id(x) in spectra
        for x in node.inputs
        if keras.backend.is_float_dtype(x.dtype) and id(x) not in constants
    ]
    either = type(node.operation).__name__ in _OF_EITHER
    return bool(read) and (any(read) if either else all(read)) and not _is_trained(node, kinds)


def _is_trained(node: Node, kinds: Mapping[int, Kind]) -> bool:
    """Return whether an operation has weights that training moves."""
    by_weights = kinds[id(node.operation)] in (Kind.LINEAR, Kind.LINEAR_ALONE, Kind.NORMALIZATION)
    return by_weights and bool(getattr(node.operation, "trainable_variables", ()))
