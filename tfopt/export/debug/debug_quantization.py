"""Where a file and its Keras model differ: both run on the same samples, tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from tfopt import graph
from tfopt.data.labelled import labelled
from tfopt.data.structure import comes_in_batches, fits, in_order
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.export.debug.align import Values, aligned
from tfopt.export.debug.error_statistics import (
    DebugReport,
    Sums,
    UnmatchedTensor,
    layer_difference,
)
from tfopt.export.debug.intermediate_tensors import (
    FileTensor,
    Kernels,
    Trace,
    file_tensors,
)
from tfopt.export.debug.match_tensors import is_quantizer, path_of
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.keras_graph.inputs_outputs import names
from tfopt.export.runtime.compare import File
from tfopt.export.runtime.tflite_model import Inputs, TFLiteModel
from tfopt.graph import EvaluatedStep

MAX_BYTES = 2**26
"""Of the activations that are held at once; large models run fewer samples at a time."""
MAX_CHUNK = 32

_SIGNATURE_END = re.compile(r"^serving_default_|:\d+$")


# Long for its docstring: its arguments are what users read here.
def debug_quantization(
    model: keras.Model, tflite: File, data: Inputs, *, kernels: Kernels = "delegate"
) -> DebugReport:
    """Find the layers in which a TFLite file and the Keras model that it was made from differ.

    Each tensor of the file is matched with one of the model, by its name and by its values. Each pair has
    two errors: the **cumulative error**, the difference of the file's tensor to the model's own, which grows
    from layer to layer; and the **layer error**, the difference to the output of the Keras layer for the
    file's own inputs. A layer without an error of its own only passes on those of the layers before.

    Of a quantization-aware model and its own file, the layer error is how far LiteRT's operator is from the
    simulation of it: 0 or 1 LSB where that is sound. Of a float model and an int8 file it is the rounding of
    this layer's weights and of its output.

    Args:
        model: a built Sequential or functional Keras 3 model, in float or quantization-aware.
        tflite: the file, its content or its path: written by tfopt or by anything else.
        data: samples as the model takes them: one array; for several inputs a tuple in the model's order or
            a dict by name; or a `tf.data.Dataset`, `keras.utils.PyDataset` or generator of batches, of which
            the first 512 are taken. 16 to 100 do.
        kernels: what computes the file: `"delegate"`, as LiteRT does by itself, by XNNPACK where that takes
            an operator; `"builtin"`, without it; `"reference"`, by plain kernels.

    Raises:
        InvalidArgumentError: the file is damaged or of another model, or the data does not fit.
        DataError: the data is empty, or holds NaN or infinity.
        UnsupportedModel: the model is subclassed.

    Example:
        >>> report = tfopt.debug_quantization(model, "model.tflite", x_test[:64])
        >>> print(report)
        >>> report.layers[0].layer, report.layers[0].added_max_lsb

    Reference:
        TensorFlow's `tf.lite.experimental.QuantizationDebugger` does it for files that it calibrated itself.
    """
    graph.require_functional(model)
    model = graph.unrolled(graph.without_losses(model))
    file = tflite if isinstance(tflite, TFLiteModel) else TFLiteModel(tflite)
    trace = Trace(file, kernels)
    order = _order_of_inputs(model, file)
    if comes_in_batches(data):
        data, _ = labelled(data, "debug_quantization: data", split="test")
    arrays = _checked(model, data)
    tensors = file_tensors(file)
    totals: dict[int, Sums] = {}
    added: dict[int, Sums] = {}
    for chunk in _chunks(model, arrays, trace, tensors):
        actual = trace.run([chunk[position] for position in order], tensors)
        calls = len(chunk[0]) // trace.batch_size
        if not totals:
            matched, unmatched = aligned(model, chunk, file, order, tensors, actual)
            for sums in (totals, added):
                sums.update({number: Sums(tensor.scale) for number, tensor in matched.items()})
        values = {number: actual[tensor.index] for number, tensor in matched.items()}
        expected = Values(model, chunk, calls, wanted=matched)
        made = Values(model, chunk, calls, replaced=values, wanted=matched)
        for number in matched:
            totals[number].add(expected[number], values[number])
            added[number].add(made[number], values[number])
    found = [
        layer_difference(_layers_of(made.steps, number, matched), tensor, totals[number], added[number])
        for number, tensor in matched.items()
    ]
    return DebugReport(
        layers=tuple(sorted(found, key=lambda each: (each.added_snr_db, each.snr_db))),
        unmatched=tuple(UnmatchedTensor(each.name, each.operator, layer_of(each.name)) for each in unmatched),
        samples=len(arrays[0]),
        kernels=kernels,
    )


def _layers_of(steps: Sequence[EvaluatedStep], number: int, matched: Mapping[int, FileTensor]) -> list[str]:
    """Return the paths of what lies between the matched tensors before a step and itself."""
    inside, waiting = {number}, [number]
    while waiting:
        for source in steps[waiting.pop()].sources:
            if source not in matched and source not in inside:
                inside.add(source)
                waiting.append(source)
    made = [each for each in sorted(inside) if steps[each].operation is not None or each == number]
    return list(dict.fromkeys(path_of(steps, each) for each in made if not is_quantizer(steps[each]))) or [
        path_of(steps, number)
    ]


def _checked(model: keras.Model, data: Inputs) -> list[np.ndarray]:
    labels = names(model)[0]
    arrays = in_order(data, labels, "data")
    for label, tensor, array in zip(labels, model.inputs, arrays, strict=True):
        if not fits(array.shape, (None, *tensor.shape[1:])) or len(array) != len(arrays[0]):
            wanted = ", ".join(map(str, ("samples", *tensor.shape[1:])))
            raise InvalidArgumentError(
                f"data for the input {label!r} must have the shape ({wanted}), with as many samples as the "
                f"others, got {array.shape}."
            )
        if array.dtype.kind not in "fiub":
            raise InvalidArgumentError(
                f"data for the input {label!r} must be numbers, got an array of {array.dtype}."
            )
        if not np.all(np.isfinite(array)):
            raise DataError(
                f"data for the input {label!r} holds NaN or infinity, of which no difference can be counted. "
                "Remove these samples."
            )
    if not len(arrays[0]):
        raise DataError("Debugging needs at least one sample, got none. Give 16 or more.")
    return arrays


def _order_of_inputs(model: keras.Model, file: TFLiteModel) -> list[int]:
    """Return which of the model's inputs each input of the file is: by name, else by place.

    A file that TensorFlow's own converter wrote has them in the order of the alphabet.
    """
    labels = names(model)[0]
    given = [_SIGNATURE_END.sub("", spec.name) for spec in file.inputs]
    order = [labels.index(name) for name in given] if set(given) == set(labels) else [*range(len(given))]
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    fit = len(given) == len(labels) and all(
        fits(spec.shape[1:], shapes[position]) for spec, position in zip(file.inputs, order, strict=True)
    )
    if not fit:
        taken = ", ".join(f"{spec.name} {list(spec.shape[1:])}" for spec in file.inputs)
        wanted = ", ".join(f"{name} {list(shape)}" for name, shape in zip(labels, shapes, strict=True))
        raise InvalidArgumentError(
            f"The file takes {taken}, the model {model.name!r} takes {wanted}. Give the model that the file "
            "was made from."
        )
    return order


def _chunks(
    model: keras.Model, arrays: Sequence[np.ndarray], trace: Trace, tensors: Sequence[FileTensor]
) -> Iterator[list[np.ndarray]]:
    """Yield samples for whole calls of the file; where the last call is not full, the last one repeated."""
    batch, samples = trace.batch_size, len(arrays[0])
    fixed = model.inputs[0].shape[0]
    if fixed is not None and fixed % batch:
        raise InvalidArgumentError(
            f"The model {model.name!r} takes {fixed} samples at once, the file {batch}. Export the file with "
            f"batch_size={fixed}."
        )
    calls = min(MAX_BYTES // (4 * sum(tensor.size for tensor in tensors)), MAX_CHUNK // batch)
    size = fixed or batch * max(1, calls)
    for start in range(0, samples, size):
        stop = start + size if fixed else min(start + size, -(-samples // batch) * batch)
        rows = np.minimum(np.arange(start, stop), samples - 1)
        yield [array[rows] for array in arrays]
