"""Carrying a plan out: the quantization-aware model with the layers that the plan describes."""

from __future__ import annotations

import math
from typing import Any

import keras

from tfopt.graph import Copier, Node, adding_losses, beside_losses, fuse_in_place, replay
from tfopt.quantization.canonicalize.rewrite.softmax import MaskedScores
from tfopt.quantization.canonicalize.rewrite_context import Paths
from tfopt.quantization.layers.standalone_batch_norm import StandaloneAffine
from tfopt.quantization.layers.standalone_relu import StandaloneReLU
from tfopt.quantization.operators.traits import Kind, ceiling
from tfopt.quantization.planning.float_boundary import FloatBoundary
from tfopt.quantization.planning.planner import planned_calls
from tfopt.quantization.planning.quantization_plan import (
    CallSpec,
    InputSpec,
    QuantizationPlan,
    Quantized,
    QuantizerSpec,
)
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.quantizers.activation_int16 import WideQuantizer
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.quantizers.weight import WeightQuantizer


def built(model: keras.Model, plan: QuantizationPlan, paths: Paths) -> keras.Model:
    """Return the quantization-aware copy of a canonical model, which shares its variables.

    Args:
        model: canonical.
        plan: of it.
        paths: of it, with what it adds to its loss.
    """
    return _Builder(model, plan, paths).model()


class _Builder:
    """Creates each layer of a plan once, when its first call comes."""

    def __init__(self, model: keras.Model, plan: QuantizationPlan, paths: Paths) -> None:
        self._model, self._plan, self._losses = model, plan, paths.losses
        calls = zip(planned_calls(model, paths), plan.calls, strict=True)
        self._calls = {id(node.outputs[0]): call for node, call in calls}
        self._specs = {spec.name: spec for spec in plan.quantizers}
        self._copier = Copier(share_variables=True)
        self._wrappers: dict[int, keras.Layer] = {}  # `id` of an operation -> what stands for it
        self._quantizers: dict[str, keras.Layer] = {}
        self._boundaries: dict[str, FloatBoundary] = {}
        self._read: dict[tuple[int, str], keras.KerasTensor] = {}  # old tensor, in which form -> new tensor
        self._unrounded: dict[int, keras.KerasTensor] = {}  # rounded input of the model -> the input

    def model(self) -> keras.Model:
        """Return the model."""
        inputs = iter(zip(self._model.inputs, self._plan.inputs.values(), strict=True))

        def emit_input(new: keras.KerasTensor) -> keras.KerasTensor:
            _, made = next(inputs)
            rounded = self._quantized(new, made.quantized)
            self._unrounded[id(rounded)] = new
            return rounded

        result = replay(beside_losses(self._model, self._losses), self._emit, emit_input)
        result = adding_losses(result, self._model.output, self._losses)
        for wrapper in self._wrappers.values():
            if isinstance(wrapper, WeightQuantizer):
                wrapper.start_steps()
        fuse_in_place(result)
        return result

    def _emit(self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = self._calls[id(node.outputs[0])]
        if call.for_losses:
            # A loss may read labels in an input: it gets it as it is.
            args, kwargs = keras.tree.map_structure(
                lambda value: self._unrounded.get(id(value), value), (args, kwargs)
            )
            return self._called(node, call, args, kwargs)
        reads = iter(zip(node.inputs, call.inputs, strict=True))
        args, kwargs = keras.tree.map_structure(
            lambda value: self._as_read(value, *next(reads)) if _is_tensor(value) else value, (args, kwargs)
        )
        made = keras.tree.flatten(self._called(node, call, args, kwargs))
        return [
            self._quantized(self._crossed(tensor, output.boundary), output.quantized)
            for tensor, output in zip(made, call.outputs, strict=True)
        ]

    def _as_read(self, value: Any, old: keras.KerasTensor, read: InputSpec) -> Any:
        """Return a tensor in the form in which an operator reads it; readers of one form share it."""
        if read.requantized is not None:
            key = (id(old), "requantized")
            if key not in self._read:
                self._read[key] = self._quantized(value, read.requantized)
            value = self._read[key]
        if read.rounded is not None:
            key = (id(old), "rounded")
            if key not in self._read:
                self._read[key] = self._quantized(self._crossed(value, read.rescaling_boundary), read.rounded)
            value = self._read[key]
        if read.boundary is not None:
            key = (id(value), "boundary")
            if key not in self._read:
                self._read[key] = self._crossed(value, read.boundary)
            value = self._read[key]
        return value

    def _called(self, node: Node, call: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what an operation makes: the layer that the plan has in its place, or its copy."""
        copied = self._copier(node)
        operation = id(node.operation)
        if operation not in self._wrappers:
            if call.standalone is not None:
                self._wrappers[operation] = _standalone(call.standalone, node.operation, copied)
            elif call.weights is not None:
                self._wrappers[operation] = WeightQuantizer(
                    copied, call.weights.scheme, name=copied.name, dtype=copied.dtype_policy
                )
        if operation in self._wrappers:
            return self._wrappers[operation](args[0])
        if isinstance(copied, MaskedScores):
            copied.in_float = call.kind in (None, Kind.FLOAT)
        return copied(*args, **kwargs)

    def _crossed(self, tensor: Any, boundary: str | None) -> Any:
        if boundary is None:
            return tensor
        return self._boundaries.setdefault(boundary, FloatBoundary(name=boundary))(tensor)

    def _quantized(self, tensor: Any, use: Quantized | None) -> Any:
        if use is None:
            return tensor
        if use.quantizer not in self._quantizers:
            self._quantizers[use.quantizer] = quantizer_of(self._specs[use.quantizer])
        rounding: dict[str, Any] = {"averaged": True} if use.averaged else {}
        if use.factors is not None:
            rounding["factors"] = [list(axis) for axis in use.factors]
        return self._quantizers[use.quantizer](tensor, tensor=use.tensor, **rounding)


def quantizer_of(spec: QuantizerSpec) -> keras.Layer:
    """Return the layer that a plan describes."""
    if spec.limits is not None:
        return FixedQuantizer(
            *spec.limits,
            inference_only=spec.inference_only,
            num_bits=spec.bits,
            requantizes=spec.requantizes,
            name=spec.name,
        )
    if spec.bits == 16:
        return WideQuantizer(observer=spec.observer, tensors=spec.count, name=spec.name)
    return ActivationQuantizer(
        observer=spec.observer,
        activation_range=spec.activation_range,
        symmetric=spec.symmetric,
        nonnegative=spec.nonnegative,
        tensors=spec.count,
        requantizes=spec.requantizes,
        name=spec.name,
    )


def _standalone(kind: Kind, operation: keras.Operation, copied: Any) -> keras.Layer:
    """Return the layer for an operation that is not fused into another."""
    if kind is Kind.NORMALIZATION:
        return StandaloneAffine(copied, name=copied.name, dtype=copied.dtype_policy)
    limit = ceiling(operation)
    dtype = getattr(copied, "dtype_policy", None)
    return StandaloneReLU(None if limit == math.inf else limit, name=copied.name, dtype=dtype)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)
