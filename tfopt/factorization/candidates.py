"""Which layers of a model can be factorized, how, and why the others cannot."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, TypeAlias

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.factorization.methods.base import Call, Factorization
from tfopt.factorization.methods.einsum import EinsumFactorization, Product
from tfopt.factorization.methods.matrix import MatrixFactorization
from tfopt.factorization.methods.spatial import SpatialFactorization
from tfopt.factorization.methods.tucker import TuckerFactorization
from tfopt.measure.kernels import prunable
from tfopt.pruning.mask import SparsityMask

Method: TypeAlias = Literal["tucker", "spatial", "svd"]
"""How convolutions of more than one tap are factorized."""

METHODS: dict[str, type[Any]] = {
    kind.method: kind for kind in (TuckerFactorization, SpatialFactorization, MatrixFactorization)
}

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
KINDS = (keras.layers.Dense, keras.layers.EinsumDense, *_CONVOLUTIONS)
"""The layers that can be factorized; not subclasses of them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A layer that can be factorized.

    Attributes:
        path: of the layer's first call.
        layer: as it is.
        factorization: of its kernel.
        calls: the sizes of each call; a shared layer has several.
        sized: whether the model fixes these sizes. Where it leaves some open, they are those of one place of
            the output, which compare well enough.
    """

    path: str
    layer: Any
    factorization: Factorization
    calls: tuple[Call, ...]
    sized: bool

    @property
    def weights(self) -> int:
        """How many weights the kernel has."""
        return math.prod(self.layer.kernel.shape)

    @property
    def macs(self) -> int:
        """The multiply-accumulates of all calls."""
        return self.weights * sum(math.prod(call.outputs) for call in self.calls)


def candidates(model: keras.Model, method: str) -> tuple[list[Candidate], dict[str, str]]:
    """Return the layers that can be factorized, in the order of the model, and path -> reason of the others.

    The others are those with weights of two dimensions or more, at any depth.

    Args:
        model: functional.
        method: of convolutions with more than one tap.

    Raises:
        InvalidArgumentError: a kernel holds NaN or infinity.
    """
    nodes = [node for node in graph.nodes(model) if isinstance(node.operation, keras.Layer)]
    calls: dict[int, list[graph.Node]] = {}
    for node in nodes:
        calls.setdefault(id(node.operation), []).append(node)
    owners = _owners(model)
    found: list[Candidate] = []
    others: dict[str, str] = {}
    for first, *rest in calls.values():
        layer: Any = first.operation
        if not isinstance(layer, KINDS):
            continue
        reason = _reason(layer, method, owners)
        if reason:
            others[first.path] = reason
            continue
        sizes = [_call(layer, node) for node in (first, *rest)]
        sized = all(None not in (*each.inputs, *each.outputs) for each in sizes)
        if not sized:
            sizes = [_one_place(layer, each) for each in sizes]
        _require_finite(first.path, layer)
        found.append(Candidate(first.path, layer, _factorization(layer, method), tuple(sizes), sized))
    known = {candidate.path for candidate in found} | {*others}
    called = {id(node.operation) for node in nodes}
    holders = {id(each): node.operation for node in nodes for each in graph.inner_layers(node.operation)}
    for kernel in prunable(model):
        if kernel.path not in known and kernel.layer_path not in known:
            others[kernel.path] = _reason_of_other(kernel.layer, called, holders)
    return found, others


def _factorization(layer: Any, method: str) -> Factorization:
    if isinstance(layer, keras.layers.EinsumDense):
        product = Product.of(layer.equation)
        assert product is not None
        return EinsumFactorization(layer, product)
    if isinstance(layer, keras.layers.Dense) or _taps(layer) == 1:
        return MatrixFactorization(layer)
    made: Factorization = METHODS[method](layer)
    return made


def _reason(layer: Any, method: str, owners: dict[int, int]) -> str:
    """Return why a layer of a known kind is left alone, `""` where it can be factorized."""
    constraint, kind = layer.kernel_constraint, type(layer).__name__
    if type(layer) not in KINDS:
        return f"{kind} is a subclass, whose code may do more with its kernel"
    if getattr(layer, "groups", 1) > 1:
        return f"it has {layer.groups} groups, which are matrices of few weights already"
    if getattr(layer, "lora_enabled", False):
        return "it is being fine-tuned with LoRA: export or merge that first"
    if getattr(layer, "quantization_mode", None):
        return "its kernel is quantized"
    if isinstance(constraint, SparsityMask):
        return "its kernel is pruned, and factors of it would have no zeros: use LowRank before Prune"
    if constraint is not None:
        return f"its kernel has the constraint {type(constraint).__name__}, which factors would not keep"
    if owners.get(id(layer.kernel), 1) > 1:
        return "another layer has the same kernel"
    if isinstance(layer, keras.layers.EinsumDense):
        if Product.of(layer.equation) is None:
            return f"the equation {layer.equation!r} is no plain matrix product"
    elif method == "spatial" and not isinstance(layer, keras.layers.Dense):
        sizes = tuple(layer.kernel_size)
        if _taps(layer) > 1 and (len(sizes) != 2 or 1 in sizes):
            return f"a kernel of the size {sizes} is no plane to split in a column and a row"
    return ""


def _reason_of_other(layer: keras.Layer, called: set[int], holders: dict[int, Any]) -> str:
    kind = type(layer).__name__
    if isinstance(layer, KINDS) or id(layer) not in called:
        holder = holders.get(id(layer))
        if graph.has_code(holder):
            return f"it is a part of {type(holder).__name__}, whose code could not be read: the log says why"
        return "it is a part of another layer"
    if "Depthwise" in kind or "Separable" in kind:
        return "depthwise: a matrix of few weights for each channel"
    return f"{kind} has no factorization here"


def _owners(model: keras.Model) -> dict[int, int]:
    """Return the `id` of a variable -> how many layers have it as an attribute of their own."""
    found: dict[int, int] = {}
    for layer in graph.inner_layers(model):
        for variable in {id(value): value for value in vars(layer).values()}.values():
            if isinstance(variable, keras.Variable):
                found[id(variable)] = found.get(id(variable), 0) + 1
    return found


def _call(layer: Any, node: graph.Node) -> Call:
    """Return the sizes of a call, None where they are open."""
    source, result = node.inputs[0].shape, node.outputs[0].shape
    if isinstance(layer, keras.layers.EinsumDense):
        product = Product.of(layer.equation)
        assert product is not None
        return Call(*(_kept_sizes(product, result),) * 2)
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return Call(tuple(source[2:]), tuple(result[2:]))
    return Call(tuple(source[1:-1]), tuple(result[1:-1]))


def _kept_sizes(product: Product, shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the sizes of the output's axes that the kernel does not have, batch aside."""
    before, _, after = product.outputs.partition("...")
    labels = before + "." * (len(shape) - len(before) - len(after)) + after
    return tuple(
        size
        for axis, (label, size) in enumerate(zip(labels, shape, strict=True))
        if axis and label not in product.kernel
    )


def _one_place(layer: Any, call: Call) -> Call:
    """Return the sizes of a call that makes one place of the output."""
    strides = tuple(getattr(layer, "strides", (1,) * len(call.inputs)))
    return Call(strides, (1,) * len(call.outputs))


def _taps(layer: Any) -> int:
    return math.prod(layer.kernel_size)


def _require_finite(path: str, layer: Any) -> None:
    if not np.isfinite(layer.kernel.numpy()).all():
        raise InvalidArgumentError(
            f"The kernel of {path!r} holds NaN or infinity, which has no factorization: train the model "
            "again from finite weights (tfopt.callbacks.GradientMonitor tells where they were lost)."
        )
