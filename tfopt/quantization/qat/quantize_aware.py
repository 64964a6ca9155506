"""Quantization-aware training: a model that computes as its int8 file will."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import keras

from tfopt import backends
from tfopt.graph import InputShapes, tie_shared_variables, warn_of_unread, with_class_of
from tfopt.quantization.qat.builder import built
from tfopt.quantization.qat.plan import prepare
from tfopt.quantization.scheme import SchemeLike


def quantize_aware(
    model: keras.Model,
    scheme: SchemeLike = "int8",
    *,
    rules: Mapping[str, SchemeLike | None] | None = None,
    preserve: str | Iterable[str] = (),
    input_shapes: InputShapes | None = None,
    engine: Literal["keras", "tfmot"] = "keras",
    engine_options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` that computes as its quantized file will, to be trained further.

    The copy has the same inputs and outputs, takes over weights, constraints and trainable flags, and
    trains with plain `compile` and `fit`. Its ranges are empty at first: `calibrate` fills them, and so
    does training. Export it with `tfopt.to_tflite`.

    Args:
        model: a built Sequential or functional model, or a subclassed one that has been called and whose
            `call` uses only layers and `keras.ops`. Models and layers made of others are decomposed.
        scheme: a name in `tfopt.quantization.SCHEMES`, or a `tfopt.quantization.Scheme`. `"int8"`: weights
            symmetric per channel, activations asymmetric per tensor. `"int4"`, `"ternary"`, `"binary"`:
            weights of fewer bits and int8 activations. `"int16x8"`: activations of 16
            bits, symmetric. `"int8_weights"`, `"int4_weights"`: activations in float; 4-bit weights of dense
            layers in blocks of 32 that share a scale. `"dynamic"`: int8 weights, and activations in float
            that each operator rounds to 8 bits by itself.
        rules: layer path -> scheme, or None to leave what it matches in float. First match wins.
        preserve: `"sparsity"` keeps the zeros that kernels have, `"clusters"` the weights of equal value
            equal, through training and in the file; or both. Models from `tfopt.prune` keep their zeros
            unasked, those from `tfopt.cluster` their clusters. A clustered kernel has one grid for all
            channels, unless each channel has clusters of its own.
        input_shapes: sizes to fix where inputs have sizes of `None` (other than the batch) that an operation
            needs: the shape of one sample, or a dict by the names of the inputs.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, run and trained by Keras 3. It
            takes fewer layers, and the scheme `"int8"` alone.
        engine_options: of `quantize_apply`, for that engine: see `tfopt.tfmot.quantize_aware`.

    Returns:
        A functional model. Layers keep their names; those of a nested model `block` become `block.conv`.

    Raises:
        InvalidArgumentError: unknown scheme, a rule that matches nothing, a model that is already
            quantization-aware or has nothing to preserve.
        UnsupportedModel: a subclassed model that is not such.
        UnsupportedOperation: an operation that int8 has no rule for. The message names the rule that
            leaves it in float.

    Example:
        ```python
        quantized = tfopt.quantize_aware(model)
        tfopt.quantization.calibrate(quantized, x_train[:512])
        quantized.compile("adam", "sparse_categorical_crossentropy")
        quantized.fit(x_train, y_train, epochs=3)
        tfopt.to_tflite(quantized).save("model.tflite")
        ```

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference (arXiv 1712.05877), sections 2 and 3.
    """
    other = backends.other("quantize_aware", engine, engine_options)
    if other is not None:
        return other.quantize_aware(model, scheme, rules=rules, preserve=preserve, options=engine_options)
    prepared = prepare("quantize_aware", model, scheme, rules, preserve, input_shapes)
    warn_of_unread(prepared.paths.unread_losses)
    with model.distribute_strategy.scope():
        result = built(prepared.model, prepared.plan(), prepared.paths)
        tie_shared_variables(result)
        result.output_names = list(getattr(prepared.functional, "output_names", result.output_names))
        return with_class_of(model, result)
