"""From a Keras model to a TFLite file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np

from tfopt import graph
from tfopt import rules as rules_
from tfopt.data import Dataset
from tfopt.data.representative import MAX_SAMPLES, Representative, calibration_arrays
from tfopt.data.sample_formats import repeatable
from tfopt.errors import ConversionError, InvalidArgumentError, UnsupportedModel, UnsupportedOperation
from tfopt.export.calibrated import calibrated, require_data
from tfopt.export.converter.fix_biases import with_mended_biases
from tfopt.export.converter.process import ConverterDiedError, ConverterProcess
from tfopt.export.file_plan.check import require_planned
from tfopt.export.file_plan.float_weights import with_float_weights
from tfopt.export.flatbuffer.parse import with_names
from tfopt.export.flatbuffer.uint8_inputs_outputs import UNSIGNED, with_unsigned_ends
from tfopt.export.input_output_types import (
    float_inputs,
    has_integer_outputs,
    with_integer_inputs,
)
from tfopt.export.int16.activations import with_wide_activations
from tfopt.export.keras_graph.float_barriers import without_barriers
from tfopt.export.keras_graph.freeze import Frozen, fixed_shapes, freeze, names
from tfopt.export.litert_quantizer.embeddings import with_integer_tables
from tfopt.export.litert_quantizer.quantizer import CalibrationError, needs_samples, quantize_file
from tfopt.export.litert_quantizer.recipe import entries_of, operators
from tfopt.export.options import NEED_DATA, Options, WeightOptions
from tfopt.export.runtime.tflite_model import TFLiteModel
from tfopt.export.schemes import EndType, Engine, SchemeName, end_type, scheme_of
from tfopt.export.trained_weights.file_scheme import file_scheme, with_trained_grids
from tfopt.export.xnnpack.lower import for_delegate
from tfopt.post_training import corrected
from tfopt.post_training.samples import shapes_of_data
from tfopt.quantization.canonicalize.canonicalize import canonical

_TF_OPERATION = re.compile(r"'tf\.(\w+)'")


def to_tflite(
    model: keras.Model,
    scheme: SchemeName | None = None,
    representative_dataset: Representative | None = None,
    input_type: EndType | None = None,
    output_type: EndType | None = None,
    batch_size: int = 1,
    *,
    rules: Mapping[str, SchemeName | None] | None = None,
    engine: Engine | None = None,
    algorithm: str = "min_max",
    per_channel: bool = True,
    block_size: int | None = 32,
    corrections: Sequence[str] = (),
    float_where_faster: bool = False,
    input_shapes: graph.InputShapes | None = None,
) -> TFLiteModel:
    """Return `model` as a TFLite file.

    Nothing is verified yet: call `verify` on the result, or use the stage `tfopt.ExportTFLite`.

    Args:
        model: any Keras 3 model that has been built or called.
        scheme: one of the following; `None` is `"float32"`, and for a quantization-aware model what it was
            trained for. In `"float32"`, `"float16"` and `"dynamic"` such a model is written without the
            rounding of activations and of 8-bit weights, where it was not trained for it.

            - `"float32"`
            - `"float16"`: weights in half precision.
            - `"dynamic"`: weights in int8, activations quantized while the file runs.
            - `"int8"`: all in integers.
            - `"int16x8"`: weights in int8, activations in int16.
            - `"int8_weights"`: weights in int8, turned into floats before use.
            - `"int4_weights"`: weights in int4, of fully connected layers in blocks that share a scale;
              what has no 4-bit form in int8.
            - `"int4"`: weights of convolutions and fully connected layers in int4, the rest in int8.
        representative_dataset: samples to find the ranges of activations with, for `"int8"`, `"int16x8"` and
            `"int4"` of a model that is not quantization-aware: all that `tfopt.quantization.calibrate` takes,
            an array of samples (a tuple in the model's order or a dict by name for several inputs), a
            `tfopt.data.Dataset`, a `tf.data.Dataset`, `keras.utils.PyDataset` or generator of batches, or a
            function that returns samples one after another, each a list of arrays. 100 to 500 samples do.
        input_type, output_type: `"int8"` or `"int16"` (the default where activations are such integers),
            `"float32"`, or `"uint8"` where the default is `"int8"`: the same scale, the zero point 128
            higher. Inputs that are integers in the model stay what they are, and so do those in float that
            hold indices, or that a layer reads which a rule leaves in float.
        batch_size: how many samples the file takes at once, 1 or more.
        rules: layer-path pattern -> the scheme of those layers, `None` for float; the first match wins.
        engine: who turns floats into integers. `"keras"`: the graph that `tfopt.quantize_aware` makes,
            calibrated with the representative data and not trained; `None` is that for `"int8"`.
            `"converter"`, TensorFlow's, which `None` is for the other schemes that it can write, but not
            with rules, another algorithm or one scale a kernel, nor in `"int16x8"` of a model with recurrent
            layers, which is the graph's. `"litert-quantizer"`, which quantizes the
            converter's float file, and which `None` is for the rest.
        algorithm: how weights are rounded: `"min_max"`, to the nearest value of a grid up to the largest
            weight; `"mse"` or `"octav"`, of a grid that cuts off the largest weights for finer steps;
            `"gptq"`, `"oscar"`, of fully connected layers, so that their outputs on the representative data
            change least; `"hadamard"`, of fully connected layers, rotated. With integer activations
            `"min_max"` or `"octav"`.
        per_channel: whether each output channel of a kernel has a scale of its own, or the kernel one.
        block_size: how many weights share a scale in `"int4_weights"`: 32, 64, 128, 256, or `None` for one
            scale a channel.
        corrections: what is done to the weights before, any of `"cross_layer_equalization"`, `"adaround"` and
            `"bias_correction"`; see `tfopt.post_training`. The last two look at the representative data.
        float_where_faster: whether int8 operators that LiteRT's delegate does not take may compute in float,
            where that is faster than any integer form of them: a softmax over many values, PReLU, an
            average pooling over windows that the border cuts. See "Written for the delegate" in the guide.
        input_shapes: of a model whose inputs have sizes of `None` beside the batch, the sizes that the file
            is to have: the shape of one sample, or a dict by the names of the inputs. `None` in a shape
            leaves a size open: whoever runs the file resizes its input, and `predict` does. Without the
            argument they are those of the representative data, if there is any.

    Raises:
        InvalidArgumentError: an argument is out of its range, a rule matches nothing, or the scheme lacks
            data to calibrate with.
        UnsupportedModel: a subclassed model that has not been called, or that cannot run in a `tf.function`.
        UnsupportedOperation: an operation that no file has, or, with the engine `"keras"`, no scheme.
        DataError: the representative data is empty or holds NaN.
        ConversionError: TensorFlow's converter or litert-quantizer refused the model, or died.

    Example:
        >>> file = tfopt.to_tflite(model, "int8", representative_dataset=x_train)
        >>> file.save("model.tflite")

    Reference:
        Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", 2018; TFLite 8-bit quantization specification. GPTQ: Frantar et al., 2022, arXiv
        2210.17323. OCTAV: Sakr et al., 2022, Optimal Clipping and Magnitude-aware Differentiation, arXiv
        2206.06501.
    """
    representative_dataset = repeatable(representative_dataset, MAX_SAMPLES)
    graph.require_built(model)
    if input_shapes is None and representative_dataset is not None:
        input_shapes = shapes_of_data(model, representative_dataset)
    left_open = graph.left_open(model, input_shapes)
    model = graph.with_input_shapes(model, input_shapes)
    if isinstance(representative_dataset, Dataset):
        representative_dataset = graph.as_taken(model, representative_dataset)
    quantized = graph.is_quantized(model)
    given = {
        "rules": rules,
        "engine": engine,
        "corrections": corrections,
        "algorithm": algorithm != "min_max",
    }
    if quantized and any(given.values()):
        raise InvalidArgumentError(
            f"{model.name!r} is quantization-aware: how it is rounded was decided in training. Leave out "
            f"{', '.join(name for name, value in given.items() if value)}, or give the model in float."
        )
    written, rounded = file_scheme(model, scheme) if quantized else (scheme or "float32", False)
    options = Options(
        scheme=written,
        rules=rules,
        engine=engine,
        weights=WeightOptions(algorithm=algorithm, per_channel=per_channel, block_size=block_size),
        corrections=corrections,
        float_where_faster=float_where_faster,
    )
    if not quantized and options.writer == "converter" and scheme_of(written).integer and _recurs(model):
        options = replace(options, engine=engine or "keras")
    asked = {
        "input_type": end_type("input_type", input_type, written),
        "output_type": end_type("output_type", output_type, written),
    }
    integer = any(scheme_of(each).integer for each in (written, *options.named_rules.values()))
    if options.needs_data or (integer and not quantized):
        require_data(representative_dataset, _reason(options, integer))
    own_graph = options.writer == "keras" and not quantized
    source = model
    if corrections or not own_graph:
        source = model = _readable(model, options)
    settings: Mapping[str, str] = {}
    if corrections or not (own_graph or quantized):
        settings = rules_.resolve(options.named_rules, [path for path, _ in graph.layers(model)], written)
    if corrections:
        model = _corrected(model, options, settings, representative_dataset)
    if own_graph:
        model = calibrated(model, options, representative_dataset)
        quantized, (written, rounded) = True, file_scheme(model, None)
    samples = None
    if (integer and not quantized) or options.needs_data:
        if left_open:
            raise InvalidArgumentError(_no_open_sizes(options))
        samples = _arrays(model, representative_dataset, fixed_shapes(model, batch_size))
    job = _Job(
        options=options,
        scheme=written,
        integer=integer,
        quantized=quantized,
        rounded=rounded,
        ends={name: "int8" if kind == UNSIGNED else kind for name, kind in asked.items()},
        settings=settings,
        samples=samples,
        batch_size=batch_size,
        left_open=left_open,
        named_after=source if graph.is_functional(source) else None,
    )
    try:
        content = job.content(model)
    except ConversionError as error:
        if left_open:
            raise type(error)(f"{error} Or fix the sizes: give whole numbers in input_shapes.") from error
        known = isinstance(error, CalibrationError) or not integer
        if quantized or not known or isinstance(error, ConverterDiedError):
            raise
        content = job.of_simpler_operations(model, error)
    content = for_delegate(content, float_where_faster=float_where_faster)
    unsigned = {name.removesuffix("_type") + "s": kind == UNSIGNED for name, kind in asked.items()}
    file = TFLiteModel(with_unsigned_ends(content, **unsigned))
    sample = None if samples is None else [array[0] for array in samples]
    file.require_runnable(
        sample, advice=_run_advice(quantized=quantized, integer=integer, left_open=bool(left_open))
    )
    return file


def _recurs(model: keras.Model) -> bool:
    """Return whether a model has a recurrent layer: TensorFlow's converter cannot look into its loop."""
    return any(isinstance(layer, keras.layers.RNN) for layer in graph.inner_layers(model))


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is decided about a file before a graph is made.

    Attributes:
        options: what was asked for.
        scheme: the name of the scheme of the file.
        integer: whether activations become integers, in a layer at least.
        quantized: whether the model is quantization-aware; and `rounded`: whether the file rounds as it does.
        ends: the types of inputs and outputs.
        settings: layer path -> the name of its scheme, for litert-quantizer.
        paths: path in the model that is written -> path in the file's names, where these differ.
        samples: one array an input, of shape (batches, batch_size, ...), to calibrate with.
        batch_size: how many samples the file takes at once.
        left_open: the inputs whose sizes of None stay open.
        named_after: the model after which inputs, outputs and layers are called.
    """

    options: Options
    scheme: str
    integer: bool
    quantized: bool
    rounded: bool
    ends: Mapping[str, str]
    settings: Mapping[str, str]
    samples: list[np.ndarray] | None
    batch_size: int
    left_open: Collection[str]
    named_after: keras.Model | None
    paths: Mapping[str, str] = field(default_factory=dict)

    def content(self, model: keras.Model) -> bytes:
        """Return the file of a functional model, as its engine writes it.

        Raises:
            ConversionError: the engine refused the model, or died, or wrote another file than was planned.
        """
        frozen = freeze(
            model,
            self.batch_size,
            fake_quantization=self.integer,
            named_after=self.named_after,
            left_open=self.left_open,
        )
        self._require_no_loops(model, frozen)
        if not self.quantized and self.options.writer != "converter":
            content = _converted(model, frozen, "float32", {}, None)
            kernels = {self.paths.get(path, path) for path in _with_kernels(model)}
            return _quantized(model, content, self.options, self.settings, self.ends, self.samples, kernels)
        trained = self.quantized and self.integer  # 16 bits too are made from what the converter writes in 8
        told = scheme_of("int8" if trained else self.scheme).converter
        types = {end: "int8" if trained and kind == "int16" else kind for end, kind in self.ends.items()}
        unquantized = float_inputs(model) if trained else frozenset()
        if unquantized:
            types["input_type"] = "float32"
        if trained and not has_integer_outputs(model):
            types["output_type"] = "float32"
        wanted: dict[str, bool | str] = {**(told or {}), **types}
        samples = self.samples if self.integer and not self.quantized else None
        content = _converted(model, frozen, self.scheme, wanted, samples)
        if unquantized and self.ends["input_type"] != "float32":
            content = with_integer_inputs(content, unquantized)
        content = with_trained_grids(model, content) if self.rounded else content
        content = with_float_weights(with_wide_activations(content, frozen.wide), frozen.plan)
        require_planned(content, frozen.plan)
        return content

    def _require_no_loops(self, model: keras.Model, frozen: Frozen) -> None:
        """Raise where samples are to pass a loop, in which neither engine can look at them."""
        loops = frozen.operations.get("LoopCond", ())
        if self.samples is not None and loops and not self.quantized:
            raise CalibrationError(
                f"Cannot write {model.name!r} as {self.options.scheme} TFLite: the layer {loops[0]!r} is a "
                f"loop, in which engine={self.options.writer!r} cannot look for ranges. Take engine='keras', "
                "without another algorithm: it leaves such a loop in float."
            )

    def of_simpler_operations(self, model: keras.Model, refused: ConversionError) -> bytes:
        """Return the file of the operations that a model in float is made of, which are fewer kinds.

        Recurrent layers are unrolled there.

        Args:
            model: which the converter refused, saying `refused`.
        """
        try:
            plain, paths = canonical(graph.as_functional(graph.copy(model, share_variables=True)))
            settings = {
                path: self.settings[whole]
                for path in paths.values()
                for whole in rules_.wholes(path)
                if whole in self.settings
            }
            return replace(self, settings={**settings, **self.settings}, paths=paths).content(plain)
        except (UnsupportedModel, UnsupportedOperation, ConversionError):
            raise refused from None


def _run_advice(*, quantized: bool, integer: bool, left_open: bool) -> str:
    """Return what to do where LiteRT cannot run a file; `{layer}` stands for the layer."""
    if left_open:
        return "It was run with open sizes: give all of them, input_shapes={{name: (..., ...)}}."
    if quantized:
        return "Leave it in float: tfopt.quantize_aware(model, rules={{{layer!r}: None}})."
    if integer:
        return (
            "Leave it in float: to_tflite(..., rules={{{layer!r}: None}}), or calibrate "
            "tfopt.quantize_aware(model) and export that."
        )
    return "Compute it of other operations."


def _no_open_sizes(options: Options) -> str:
    return (
        f"engine={options.writer!r} calibrates a graph of fixed sizes: give input_shapes whole numbers, or "
        "leave the sizes open with the default engine, which writes 'int8'."
    )


def _readable(model: keras.Model, options: Options) -> keras.Model:
    """Return `model` as a graph: of its layers where these are looked at one by one, else as it is traced."""
    if graph.is_functional(model) or not (options.rules or options.corrections):
        return graph.as_graph(model)
    return graph.as_functional(graph.copy(model, share_variables=True))


def _reason(options: Options, integer: bool) -> str:
    """Return what it is that has to see data, for an error message."""
    if integer:
        return f"The scheme {options.scheme!r}" if not options.rules else "A scheme with integer activations"
    needing = [name for name in (options.weights.algorithm, *options.corrections) if name in NEED_DATA]
    return f"What is called {needing[0]!r}"


def _arrays(
    model: keras.Model,
    representative_dataset: Representative | None,
    shapes: tuple[tuple[int, ...], ...],
) -> list[np.ndarray]:
    dtypes = tuple(keras.backend.standardize_dtype(tensor.dtype) for tensor in model.inputs)
    return calibration_arrays(representative_dataset, names(model)[0], shapes, dtypes)


def _corrected(
    model: keras.Model, options: Options, settings: Mapping[str, str], data: Representative | None
) -> keras.Model:
    """Return the model whose weights lose less when they are rounded as the settings say."""
    bits = {path: scheme_of(name).weight_bits for path, name in settings.items()}
    return corrected(model, options.corrections, data, bits=bits, per_channel=options.weights.per_channel)


def _with_kernels(model: keras.Model) -> list[str]:
    """Return the paths of the layers that have a kernel."""
    return [path for path, layer in graph.layers(model) if any(len(x.shape) > 1 for x in layer.weights)]


def _quantized(
    model: keras.Model,
    content: bytes,
    options: Options,
    settings: Mapping[str, str],
    ends: Mapping[str, str],
    samples: list[np.ndarray] | None,
    kernels: Collection[str],
) -> bytes:
    """Return what litert-quantizer makes of a float file; `kernels`, the paths of the layers with one."""
    entries = entries_of(
        operators(content, settings, kernels),
        settings,
        options.scheme,
        {"INPUT": ends["input_type"], "OUTPUT": ends["output_type"]},
        options.grid,
    )
    by_name = None
    if samples is not None and needs_samples(entries):
        inputs = names(model)[0]
        by_name = [dict(zip(inputs, each, strict=True)) for each in zip(*samples, strict=True)]
    try:
        result = quantize_file(content, entries, samples=by_name)
    except ConversionError as error:
        raise type(error)(f"Cannot write {model.name!r} as {options.scheme} TFLite. {error}") from error
    return with_integer_tables(result, settings, options.scheme, per_channel=options.weights.per_channel)


def _converted(
    model: keras.Model,
    frozen: Frozen,
    scheme: str,
    options: Mapping[str, bool | str],
    samples: list[np.ndarray] | None,
) -> bytes:
    """Return what TensorFlow's converter makes of a frozen graph, with readable names."""
    with tempfile.TemporaryDirectory(prefix="tfopt-") as folder:
        files = {name: Path(folder, name) for name in ("graph", "calibration.npz", "result")}
        files["graph"].write_bytes(frozen.graph_def)
        if samples is not None:
            np.savez(files["calibration.npz"], *samples)
        request = {
            "graph": str(files["graph"]),
            "inputs": frozen.inputs,
            "outputs": frozen.outputs,
            "calibration": str(files["calibration.npz"]) if samples is not None else None,
            "result": str(files["result"]),
            **options,
        }
        try:
            ConverterProcess.request(request)
        except ConversionError as error:
            layers = sorted(
                {x for op in _TF_OPERATION.findall(str(error)) for x in frozen.operations.get(op, ())}
            )
            advice = f" Replace these layers: {', '.join(layers)}." if layers else ""
            if scheme in ("int8", "int16x8") and not graph.is_quantized(model):
                advice += " Or let another engine do it: engine='keras', or engine='litert-quantizer'."
            message = f"Cannot write {model.name!r} as {scheme} TFLite. {error}{advice}"
            raise type(error)(message) from error
        content = files["result"].read_bytes()
    content = with_mended_biases(without_barriers(content, frozen.barrier))
    return with_names(content, frozen.input_names, frozen.output_names, frozen.tensor_names.readable)
