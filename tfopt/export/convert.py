"""From a Keras model to a TFLite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from tfopt import graph
from tfopt.data.representative import MAX_SAMPLES, Representative
from tfopt.data.sample_formats import repeatable
from tfopt.export.engines import file_content
from tfopt.export.options import Options, WeightOptions
from tfopt.export.prepare import prepared, require_float, with_sizes
from tfopt.export.runtime.tflite_model import TFLiteModel
from tfopt.export.schemes import Engine, InputOutputType, SchemeName, input_output_type
from tfopt.export.trained_weights.file_scheme import file_scheme


# Long for its docstring: its arguments are what users read here.
def to_tflite(
    model: keras.Model,
    scheme: SchemeName | None = None,
    representative_dataset: Representative | None = None,
    input_type: InputOutputType | None = None,
    output_type: InputOutputType | None = None,
    batch_size: int = 1,
    *,
    rules: Mapping[str, SchemeName | None] | None = None,
    engine: Engine | None = None,
    algorithm: str = "min_max",
    per_channel: bool = True,
    block_size: int | None = 32,
    corrections: Sequence[str] = (),
    float_where_faster: bool = False,
    sparse: bool = False,
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
              what has no 4-bit kernel in int8.
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
            weight; `"mse"` or `"octav"`, of a grid that cuts off the largest weights for a finer scale;
            `"gptq"`, `"oscar"`, of fully connected layers, so that their outputs on the representative data
            change least; `"hadamard"`, of fully connected layers, rotated. With integer activations
            `"min_max"` or `"octav"`.
        per_channel: whether each output channel of a kernel has a scale of its own, or the kernel one.
        block_size: how many weights share a scale in `"int4_weights"`: 32, 64, 128, 256, or `None` for one
            scale a channel.
        corrections: what is done to the weights before, any of `"cross_layer_equalization"`, `"adaround"` and
            `"bias_correction"`; see `tfopt.post_training`. The last two look at the representative data.
        float_where_faster: whether int8 operators that LiteRT's delegate does not take may compute in float,
            where that is faster than any integer lowering of them: a softmax over many values, PReLU, an
            average pooling over windows that the border cuts. See "Written for the delegate" in the guide.
        sparse: whether weights are stored without their zeros, where that takes fewer bytes: for a model from
            `tfopt.prune`, where nothing compresses the file on its way. Outputs are the same bit for bit and
            as fast, for LiteRT decodes the weights when it loads the file. A compressed file (gzip, an app
            store's package) may be larger so, above all in int8. Fully connected layers of int8 files stay as
            they are, and `"dynamic"` and `"int4_weights"` cannot be sparse: LiteRT does not run them.
        input_shapes: of a model whose inputs have sizes of `None` after the batch, the sizes that the file
            is to have: the shape of one sample, or a dict by the names of the inputs. `None` in a shape
            leaves a size open: whoever runs the file resizes its input, and `predict` does. Without the
            argument they are those of the representative data, if there is any.

    Raises:
        InvalidArgumentError: an argument is out of its range, a rule matches nothing, or the scheme lacks
            data to calibrate with.
        UnsupportedModel: a subclassed model that has not been called, or that cannot run in a `tf.function`.
        UnsupportedOperation: an operation that no file has, or, with the engine `"keras"`, no scheme.
        DataError: the representative data is empty or holds NaN.
        ConversionError: TensorFlow's converter or litert-quantizer refused the model, or crashed.

    Example:
        >>> file = tfopt.to_tflite(model, "int8", representative_dataset=x_train)
        >>> file.save("model.tflite")

    Reference:
        Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", 2018; TFLite 8-bit quantization specification. GPTQ: Frantar et al., 2022, arXiv
        2210.17323. OCTAV: Sakr et al., 2022, Optimal Clipping and Magnitude-aware Differentiation, arXiv
        2206.06501.
    """
    data = repeatable(representative_dataset, MAX_SAMPLES)
    graph.require_tensorflow("to_tflite")
    graph.require_built(model)
    model, data, left_open = with_sizes(model, data, input_shapes)
    require_float(
        model, rules=rules, engine=engine, corrections=corrections, algorithm=algorithm != "min_max"
    )
    written, rounded = file_scheme(model, scheme)
    options = Options(
        scheme=written,
        rules=rules,
        engine=engine,
        weights=WeightOptions(algorithm=algorithm, per_channel=per_channel, block_size=block_size),
        corrections=corrections,
        float_where_faster=float_where_faster,
        sparse=sparse,
    )
    model, conversion = prepared(
        model,
        data,
        options,
        input_type=input_output_type("input_type", input_type, written),
        output_type=input_output_type("output_type", output_type, written),
        rounded=rounded,
        batch_size=batch_size,
        left_open=left_open,
    )
    file = TFLiteModel(file_content(model, conversion))
    file.require_runnable(conversion.sample, advice=conversion.advice)
    return file
