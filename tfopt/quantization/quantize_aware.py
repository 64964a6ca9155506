"""Quantization-aware training: a model that computes as its int8 file will."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfopt import rules as rules_
from tfopt.errors import InvalidArgumentError
from tfopt.graph import Copier, Node, fuse_in_place, is_quantized, replay
from tfopt.quantization.activation_quantizer import ActivationQuantizer, FixedQuantizer
from tfopt.quantization.canonical import canonical
from tfopt.quantization.kinds import kinds_of
from tfopt.quantization.operations import Kind
from tfopt.quantization.plan import plan
from tfopt.quantization.standalone_affine import StandaloneAffine
from tfopt.quantization.weight_quantizer import WeightQuantizer

SCHEMES = ("int8",)


def quantize_aware(
    model: keras.Model,
    scheme: str = "int8",
    *,
    rules: Mapping[str, str | None] | None = None,
) -> keras.Model:
    """Return a copy of `model` that computes as its quantized file will, to be trained further.

    The copy has the same inputs and outputs, takes over weights, constraints and trainable flags, and
    trains with plain `compile` and `fit`. Its ranges are empty at first: `calibrate` fills them, and so
    does training. Export it with `tfopt.to_tflite`.

    Args:
        model: a built Sequential or functional model; models in it are opened.
        scheme: `"int8"`: weights symmetric per channel, activations asymmetric per tensor.
        rules: layer path -> scheme, or None to leave what it matches in float. First match wins.

    Returns:
        A functional model. Layers keep their names; those of a nested model `block` become `block.conv`.

    Raises:
        InvalidArgumentError: unknown scheme, a rule that matches nothing, or a model that is already
            quantization-aware.
        UnsupportedModel: a subclassed model.
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
    for value in (scheme, *(rules or {}).values()):
        if value is not None and value not in SCHEMES:
            raise InvalidArgumentError(f"Expected one of the schemes {SCHEMES}, got {value!r}.")
    if is_quantized(model):
        raise InvalidArgumentError(f"The model {model.name!r} is quantization-aware already.")
    with model.distribute_strategy.scope():
        model, paths = canonical(model)
        kinds = kinds_of(model, rules_.resolve(rules, paths.values(), scheme), paths)
        return _quantized(model, kinds)


def _quantized(model: keras.Model, kinds: Mapping[int, Kind]) -> keras.Model:
    """Return the quantization-aware copy of a canonical model."""
    planned = plan(model, kinds)
    final = {id(tensor) for tensor in model.outputs}
    copier = Copier()
    wrappers: dict[int, keras.Layer] = {}
    quantizers: dict[str, keras.Layer] = {}

    def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        copied = copier(node)
        operation = id(node.operation)
        if operation in planned.standalone:
            wrapper = StandaloneAffine
        elif kinds[operation] in (Kind.LINEAR, Kind.LINEAR_ALONE):
            wrapper = WeightQuantizer
        else:
            return copied(*args, **kwargs)
        if operation not in wrappers:
            wrappers[operation] = wrapper(copied, name=copied.name, dtype=copied.dtype_policy)
        return wrappers[operation](args[0])

    def quantize(old: keras.KerasTensor, new: keras.KerasTensor, **kwargs: bool) -> keras.KerasTensor:
        name = planned.quantizers.get(id(old))
        if name is None:
            return new
        if id(old) in planned.fixed:
            minimum, maximum = planned.fixed[id(old)]
            return FixedQuantizer(minimum, maximum, inference_only=id(old) in final, name=name)(new, **kwargs)
        if name not in quantizers:
            quantizers[name] = ActivationQuantizer(name=name)
        return quantizers[name](new, **kwargs)

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        made = keras.tree.flatten(call(node, args, kwargs))
        averaged = {"averaged": True} if kinds[id(node.operation)] is Kind.AVERAGE else {}
        return [quantize(old, new, **averaged) for old, new in zip(node.outputs, made, strict=True)]

    inputs = iter(model.inputs)
    result = replay(model, emit, emit_input=lambda new: quantize(next(inputs), new))
    copier.copy_weights()
    fuse_in_place(result)
    return result
