"""Sounds on the way to a spectrum, and spectra before the first trained layer, stay in float.

The quiet parts of a sound and of its spectrum are thousands of times smaller than the loud ones; a logarithm
lifts them, and 255 values in a range do not hold them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from tfopt.graph import Constant, Node, as_array, nodes, valued
from tfopt.quantization.operators.op_traits import Kind
from tfopt.quantization.operators.traits import traits_of


def of_spectra(model: keras.Model, kinds: Mapping[int, Kind]) -> set[int]:
    """Return the `id` of each operation that computes spectra, or reads them or leads to them.

    Args:
        model: canonical.
        kinds: `id` of each operation -> its kind.
    """
    graph = nodes(model)
    found = _sources(graph, kinds)
    if not found:
        return found
    constants: set[int] = set()
    spectra: set[int] = set()
    for node in graph:
        outputs = {id(x) for x in node.outputs}
        if _is_constant(node, constants):
            constants |= outputs
        elif id(node.operation) in found or _is_of_spectra(node, kinds, spectra, constants):
            found.add(id(node.operation))
            spectra |= outputs
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


def _sources(graph: Sequence[Node], kinds: Mapping[int, Kind]) -> set[int]:
    """Return the `id` of each operation that transforms a sound: by its class, or by its matrix.

    After trained layers a product with the matrix of a Fourier transform only mixes features, as in FNet.
    """
    found: set[int] = set()
    trained: set[int] = set()
    for node in graph:
        if _is_trained(node, kinds) or any(id(x) in trained for x in node.inputs):
            trained.update(map(id, node.outputs))
        if traits_of(node.operation).transforms_waveforms or (
            id(node.outputs[0]) not in trained and _transforms(node.operation)
        ):
            found.add(id(node.operation))
    return found


def _transforms(operation: keras.Operation) -> bool:
    """Return whether a layer multiplies by the real or the imaginary part of a Fourier transform's matrix."""
    if not isinstance(operation, keras.layers.Dense) or operation.trainable_variables:
        return False
    kernel = as_array(operation.kernel)
    if kernel.shape[0] != kernel.shape[1] or kernel.shape[0] < _SHORTEST:
        return False
    matrix = np.fft.fft(np.eye(len(kernel)))
    return any(np.allclose(kernel, part, atol=1e-4) for part in (matrix.real, matrix.imag))


_SHORTEST = 8
"""The length of a transform from which on its matrix is no coincidence."""


def _is_constant(node: Node, constants: set[int]) -> bool:
    """Return whether a node reads no inputs of the model."""
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
    either = traits_of(node.operation).arithmetic  # a mask that a network computed is laid on a spectrum
    return bool(read) and (any(read) if either else all(read)) and not _is_trained(node, kinds)


def _is_trained(node: Node, kinds: Mapping[int, Kind]) -> bool:
    """Return whether an operation has weights that training moves."""
    by_weights = kinds[id(node.operation)] in (Kind.LINEAR, Kind.LINEAR_ALONE, Kind.NORMALIZATION)
    return by_weights and bool(getattr(node.operation, "trainable_variables", ()))
