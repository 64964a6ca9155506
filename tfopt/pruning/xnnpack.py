"""Which kernels XNNPACK runs sparse, so that zeros save time, and what keeps a model from it.

XNNPACK runs a part of a float graph with channels first and sparse 1x1 convolutions where that part begins
with a 3x3 convolution of an image, ends with a global average pooling, has nothing between that it cannot run
so, and more than two thirds of the weights of its 1x1 convolutions are zero.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from tfopt import _validation, graph
from tfopt.errors import InvalidArgumentError

LEAST_SPARSITY = 2 / 3
"""The share of zeros that XNNPACK asks for, and more."""

_ELEMENTWISE = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "sigmoid", "hard_sigmoid", "silu", "hard_silu"),
    *("abs", "square", "negative", "floor", "ceil"),
)
"""Functions of one tensor that XNNPACK computes in either order of axes, by their names in Keras."""
_ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "ELU")
_FREE = ("Dropout", "SpatialDropout2D", "Identity", "BatchNormalization", "Add", "Multiply")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseInference:
    """What XNNPACK can run sparse of a model.

    Attributes:
        kernels: paths of the 1x1 convolutions that it runs sparse once they have enough zeros.
        obstacles: path of a layer -> why the part of the graph around it cannot run sparse. A model may have
            kernels and obstacles both, in different parts.
    """

    kernels: tuple[str, ...]
    obstacles: dict[str, str]

    @property
    def eligible(self) -> bool:
        """Whether there is anything that runs sparse."""
        return bool(self.kernels)


def xnnpack_inference(model: keras.Model) -> SparseInference:
    """Return which kernels of a model XNNPACK can run sparse, and what keeps it from others.

    Args:
        model: functional, in float.

    Raises:
        UnsupportedModel: the model is subclassed.

    Reference:
        Elsen et al., 2020, Fast Sparse ConvNets (arXiv 1911.09723). The conditions are those of XNNPACK's
        rewrite for sparse inference, which TFMOT's `PruneForLatencyOnXNNPack` follows too.
    """
    graph.require_functional(model)
    paths = {node.path.replace("/", "."): node.path for node in graph.nodes(model)}
    flat = _Flat(graph.lower(model, share_variables=True))
    kernels: list[str] = []
    obstacles: dict[str, str] = {}
    for end in flat.ends():
        cluster, found = flat.cluster(end)
        if found:
            obstacles |= {paths.get(name, name): reason for name, reason in found.items()}
            continue
        kernels += [paths[node.path] for node in cluster if _is_pointwise(node.operation)]
    if not flat.ends():
        last = flat.nodes[-1].path
        obstacles[paths.get(last, last)] = "no global average pooling ends a part of the model"
    order = [*paths.values()]
    return SparseInference(kernels=tuple(sorted({*kernels}, key=order.index)), obstacles=obstacles)


def xnnpack_rules(model: keras.Model, sparsity: float = 0.8) -> dict[str, float | None]:
    """Return rules for `tfopt.prune` that prune what XNNPACK runs sparse, and nothing else.

    On ARM such a float file is 1.2 to 2.4 times as fast (as Google reports); on x86 XNNPACK runs it sparse
    only on CPUs without AVX, and elsewhere zeros save bytes alone. Export it as `"float32"` or `"float16"`:
    XNNPACK has no sparse kernels for integers.

    Args:
        model: functional, in float.
        sparsity: the share of zeros of each kernel, above 2/3 and below 1.

    Raises:
        InvalidArgumentError: the sparsity is out of its range, or XNNPACK can run nothing of the model
            sparse; the message says what is in the way.
        UnsupportedModel: the model is subclassed.

    Example:
        >>> rules = tfopt.pruning.xnnpack_rules(model, 0.8)
        >>> pruned = tfopt.prune(model, 0.8, rules=rules)
    """
    _validation.number("xnnpack_rules", "sparsity", sparsity, above=LEAST_SPARSITY, below=1)
    found = xnnpack_inference(model)
    if not found.eligible:
        named = "; ".join(f"{path!r}: {reason}" for path, reason in [*found.obstacles.items()][:3])
        raise InvalidArgumentError(
            f"XNNPACK can run nothing of {model.name!r} sparse: {named or 'it has no 1x1 convolution'}. "
            "Zeros make its file smaller, not faster; tfopt.prune_channels makes it faster."
        )
    others = {path for path, _ in graph.layers(model)} - {*found.kernels}
    return dict.fromkeys(found.kernels, sparsity) | ({"*": None} if others else {})


class _Flat:
    """A model of one level, and who reads what in it."""

    def __init__(self, model: keras.Model) -> None:
        self.nodes = graph.nodes(model)
        self._outputs = {id(tensor) for tensor in model.outputs}
        self._makers = {id(tensor): node for node in self.nodes for tensor in node.outputs}
        self._readers: dict[int, list[graph.Node]] = {}
        for node in self.nodes:
            for tensor in node.inputs:
                self._readers.setdefault(id(tensor), []).append(node)

    def ends(self) -> list[graph.Node]:
        """Return the global average poolings that are not a part of what leads to another one."""
        pools = [node for node in self.nodes if _is_pool(node.operation)]
        inside = {id(node) for pool in pools for node in self._before(pool) if node is not pool}
        return [pool for pool in pools if id(pool) not in inside]

    def cluster(self, end: graph.Node) -> tuple[list[graph.Node], dict[str, str]]:
        """Return the calls from the image to a pooling, and name -> what is in the way there."""
        found = self._before(end)
        members = {id(node) for node in found}
        obstacles = {}
        for node in found:
            reason = self._reason(node, members)
            if reason:
                obstacles[node.path] = reason
        return found, obstacles

    def _before(self, end: graph.Node) -> list[graph.Node]:
        """Return what leads to a call, itself too, back to where the part of XNNPACK's begins."""
        found: dict[int, graph.Node] = {}
        waiting = [end]
        while waiting:
            node = waiting.pop()
            if id(node) in found:
                continue
            found[id(node)] = node
            if not self._starts(node):
                waiting += [self._makers[id(x)] for x in node.inputs if id(x) in self._makers]
        return [node for node in self.nodes if id(node) in found]

    def _reason(self, node: graph.Node, members: set[int]) -> str:
        if self._starts(node):
            return ""
        padded = self._padded(node)
        if not _runs_channels_first(node.operation, padded) and not self._pads(node):
            return _why(node.operation)
        for tensor in node.inputs:
            if id(tensor) not in self._makers:
                return (
                    "the part does not begin with a Conv2D of kernel 3, strides 2, 3 input channels and "
                    "padding 'valid' after a ZeroPadding2D(1)"
                )
            if id(tensor) in self._outputs:
                return "it reads an output of the model"
            others = [each for each in self._readers[id(tensor)] if id(each) not in members]
            if others:
                return f"{others[0].path!r} reads the same tensor and is no part of it"
        return ""

    def _starts(self, node: graph.Node) -> bool:
        layer: Any = node.operation
        return (
            type(layer) is keras.layers.Conv2D
            and tuple(layer.kernel.shape[:3]) == (3, 3, 3)
            and tuple(layer.strides) == (2, 2)
            and tuple(layer.dilation_rate) == (1, 1)
            and layer.groups == 1
            and layer.padding == "valid"
            and self._padded(node) == 1
        )

    def _padded(self, node: graph.Node) -> int:
        """Return by how much a ZeroPadding2D before a call pads each side, 0 without one."""
        maker = self._makers.get(id(node.inputs[0])) if node.inputs else None
        layer: Any = None if maker is None else maker.operation
        if type(layer) is not keras.layers.ZeroPadding2D:
            return 0
        sizes = {size for pair in layer.padding for size in pair}
        return sizes.pop() if len(sizes) == 1 else 0

    def _pads(self, node: graph.Node) -> bool:
        """Return whether a call pads for convolutions that then pad by themselves in XNNPACK."""
        if type(node.operation) is not keras.layers.ZeroPadding2D:
            return False
        readers = self._readers.get(id(node.outputs[0]), [])
        return bool(readers) and all(
            self._starts(each) or _runs_channels_first(each.operation, self._padded(each)) for each in readers
        )


def _is_pool(operation: Any) -> bool:
    return type(operation) is keras.layers.GlobalAveragePooling2D


def _is_pointwise(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and tuple(layer.kernel_size) == tuple(layer.strides) == tuple(layer.dilation_rate) == (1, 1)
        and layer.groups == 1
    )


def _runs_channels_first(operation: Any, padded: int) -> bool:
    """Return whether XNNPACK runs a call with channels first too.

    Args:
        operation: that is called.
        padded: by how much each side is padded before.
    """
    kind = type(operation).__name__
    if getattr(operation, "data_format", "channels_last") != "channels_last":
        return False
    if _is_pool(operation):
        return True
    if type(operation) is keras.layers.DepthwiseConv2D:
        size = tuple(operation.kernel_size)
        same = operation.padding == "same" and tuple(operation.strides) == (1, 1) and not padded
        valid = operation.padding == "valid" and tuple(operation.strides) in ((1, 1), (2, 2))
        return (
            size in ((3, 3), (5, 5))
            and tuple(operation.dilation_rate) == (1, 1)
            and operation.depth_multiplier == 1
            and (same or (valid and padded == size[0] // 2))
            and _elementwise(operation.activation)
        )
    if type(operation) is keras.layers.Conv2D:
        return _is_pointwise(operation) and _elementwise(operation.activation)
    if type(operation) is keras.layers.UpSampling2D:
        return bool(operation.interpolation == "bilinear")
    if type(operation) is keras.layers.Activation:
        return _elementwise(operation.activation)
    ours = type(operation).__module__.startswith("keras.")
    names = (*_FREE, *_ACTIVATION_LAYERS, *(name.title().replace("_", "") for name in _ELEMENTWISE), "Relu6")
    return ours and kind in names


def _elementwise(activation: Any) -> bool:
    return getattr(activation, "__name__", "") in _ELEMENTWISE


def _why(operation: Any) -> str:
    kind = type(operation).__name__
    if kind == "Conv2D" and tuple(operation.kernel_size) == (1, 1):
        return "a 1x1 convolution with strides or groups, or an activation that XNNPACK does not compute so"
    if kind == "Conv2D":
        return f"a Conv2D with the kernel {tuple(operation.kernel_size)}, where XNNPACK has 1x1 ones"
    if kind == "DepthwiseConv2D":
        return (
            "a depthwise convolution other than of kernel 3 or 5 with padding 'same' and strides 1, or "
            "'valid' after a ZeroPadding2D of half the kernel"
        )
    return f"XNNPACK does not run {kind} with channels first"
