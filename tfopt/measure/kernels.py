"""Which variables of a model are kernels: the weights that are multiplied, worth pruning and counting."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from tfopt import graph
from tfopt.graph import Use


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """One kernel of one layer, or another variable of two dimensions or more that a rule may prune.

    Attributes:
        path: the path of the layer in the model; of a recurrent layer, of the first kernel of a separable
            convolution and of variables that a layer of the user's own made, with the variable's name:
            `lstm/recurrent_kernel`.
        layer: the layer that owns the variable, out of any wrapper that tfopt put around it.
        variable: the weights.
        constraint_attribute: the name of the layer's attribute that holds the constraint of `variable`, None
            where no config does: in layers of the user's own.
        by_default: whether pruning takes it unasked.
        reason: why not.
        group: the attention layer that `layer` is a part of, in whose config all its kernels have one
            constraint together; None elsewhere.
        saved: whether a `.keras` file holds its constraint. Not that of what stands in a layer of the user's
            own, whose config tells of arguments and leaves constraints out.
    """

    path: str
    layer: keras.Layer
    variable: keras.Variable
    constraint_attribute: str | None
    by_default: bool = True
    reason: str = ""
    group: keras.Layer | None = None
    saved: bool = True

    @property
    def multiplied(self) -> bool:
        """Whether the model multiplies by it: a kernel, and no table or mask."""
        return self.by_default or self.reason == Use.DEPTHWISE.value

    @property
    def layer_path(self) -> str:
        """The path without the name of the variable."""
        head, _, name = self.path.rpartition("/")
        return head if name == self.variable.name else self.path


_KERNEL = (("kernel", "kernel_constraint"),)
_DEPTHWISE = (("kernel", "depthwise_constraint"),)
_SEPARABLE = (("depthwise_kernel", "depthwise_constraint"), ("pointwise_kernel", "pointwise_constraint"))
_RECURRENT = (("kernel", "kernel_constraint"), ("recurrent_kernel", "recurrent_constraint"))
_TABLE = (("embeddings", "embeddings_constraint"),)

_Attributes = tuple[tuple[str, str | None], ...]

_ATTRIBUTES: dict[str, _Attributes] = {
    "Dense": _KERNEL,
    "EinsumDense": _KERNEL,
    "Conv1D": _KERNEL,
    "Conv2D": _KERNEL,
    "Conv3D": _KERNEL,
    "Conv1DTranspose": _KERNEL,
    "Conv2DTranspose": _KERNEL,
    "Conv3DTranspose": _KERNEL,
    "DepthwiseConv1D": _DEPTHWISE,
    "DepthwiseConv2D": _DEPTHWISE,
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "LSTMCell": _RECURRENT,
    "GRUCell": _RECURRENT,
    "SimpleRNNCell": _RECURRENT,
    "ConvLSTMCell": _RECURRENT,
    "Embedding": _TABLE,
    "ReversibleEmbedding": (*_TABLE, ("reverse_embeddings", None)),
    # Weights of normalizations and of activations are 1-dimensional but for the axes that they share.
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "RMSNormalization"), ()),
    **dict.fromkeys(("GroupNormalization", "UnitNormalization", "PReLU"), ()),
}
"""The name of a Keras class -> (variable, attribute with its constraint) of its kernels.

What other layers make, those of the user's own, is told apart by what the model does with it: see `uses`.
"""

# A row of an embedding is looked up, not multiplied, and rare words have small rows without being
# needless ones: magnitude says little there. A channel of a depthwise kernel has nine weights or so.
_ON_REQUEST: dict[str | None, str] = {
    "embeddings_constraint": "an embedding",
    None: "an embedding",
    "depthwise_constraint": Use.DEPTHWISE.value,
}
"""The attribute that holds a kernel's constraint -> why pruning takes the kernel by rule only."""

_INNER_CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTMCell")
_HIDDEN_CELLS = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
"""The layers whose cell is none of the user's business: a kernel's path leaves it out."""

KINDS = "dense, einsum, convolution, attention and recurrent ones, and own ones that multiply by weights"
"""The layers that have kernels, for messages."""

_UNTRACED = "of unknown use: the model cannot be traced, and its name does not say that it is a kernel"
_REASONS = {
    Use.LOOKUP: "an embedding: " + Use.LOOKUP.value,
    Use.DEPTHWISE: Use.DEPTHWISE.value,
    Use.ELEMENTWISE: Use.ELEMENTWISE.value,
    None: "not read in an inference",
}


def kernels_of(path: str, layer: keras.Layer) -> list[Kernel]:
    """Return the kernels that one layer of Keras owns itself; none for a layer of another kind.

    Subclasses count. Layers in the layer are not looked at.
    """
    layer = graph.unwrapped(layer)
    if getattr(layer, "tfopt_bridge", False):
        return layer.kernels(path)
    kind = _kind(layer)
    return [
        Kernel(
            f"{path}/{name}" if kind in _INNER_CELLS or name == "depthwise_kernel" else path,
            layer,
            variable,
            attribute,
            by_default=attribute not in _ON_REQUEST,
            reason=_ON_REQUEST.get(attribute, ""),
        )
        for name, attribute in _ATTRIBUTES.get(kind, ())
        if isinstance(variable := getattr(layer, name, None), keras.Variable)
    ]


def prunable(model: keras.Model) -> list[Kernel]:
    """Return the variables that can be pruned, in the order in which they run, each once.

    Those of layers of the user's own are kernels only where the model multiplies by them. Which do, is not
    found out here: they have `by_default=False` and no reason. See `kernels`.
    """
    layers = graph.tree(model)
    hidden = {f"{path}/{layer.cell.name}": path for path, layer in layers if _kind(layer) in _HIDDEN_CELLS}
    known = [kernels_of(hidden.get(path, path), layer) for path, layer in layers]
    # A wrapper of Keras may list the kernel of the layer in it as its own.
    owned = {id(kernel.variable) for kernels in known for kernel in kernels}
    found: dict[int, Kernel] = {}
    groups: dict[int, keras.Layer] = {}
    unsaved: tuple[str, ...] = ()
    for (path, layer), kernels in zip(layers, known, strict=True):
        if graph.shared_constraint(layer) is not None:
            groups |= {id(inner): layer for inner in graph.inner_layers(layer)}
        if not _holds_configs(layer) and not path.startswith(unsaved):
            unsaved = (*unsaved, f"{path}/" if path else "")
        saved = not f"{path}/".startswith(unsaved)
        others = [kernel for kernel in _own(path, layer) if id(kernel.variable) not in owned]
        for kernel in [*kernels, *others]:
            saved_here = saved and kernel.constraint_attribute is not None
            kernel = dataclasses.replace(kernel, group=groups.get(id(layer)), saved=saved_here)
            found.setdefault(id(kernel.variable), kernel)
    return list(found.values())


def _holds_configs(layer: keras.Layer) -> bool:
    """Return whether the config of a layer is made of those of the layers in it."""
    return not graph.is_own(layer) or not graph.inner_layers(layer) or graph.is_functional(layer)


def kernels(model: keras.Model) -> list[Kernel]:
    """Return the variables that can be pruned, each with whether it is a kernel and pruned unasked.

    Where a layer of the user's own made one, the model is traced once to see what is done with it.

    Args:
        model: built; it need not be functional.
    """
    found = prunable(model)
    own = [kernel for kernel in found if _is_own(kernel)]
    if not own:
        return found
    used = graph.uses(model, [kernel.variable for kernel in own])
    return [_judged(kernel, used) if _is_own(kernel) else kernel for kernel in found]


def _judged(kernel: Kernel, used: dict[int, frozenset[Use]] | None) -> Kernel:
    if used is None:
        named = "kernel" in kernel.variable.name
        return dataclasses.replace(kernel, by_default=named, reason="" if named else _UNTRACED)
    what = used[id(kernel.variable)]
    if Use.PRODUCT in what and Use.LOOKUP not in what:
        return dataclasses.replace(kernel, by_default=True)
    use = next((each for each in (Use.LOOKUP, Use.DEPTHWISE, Use.ELEMENTWISE) if each in what), None)
    return dataclasses.replace(kernel, reason=_REASONS[use])


def _is_own(kernel: Kernel) -> bool:
    return not kernel.by_default and not kernel.reason


def _own(path: str, layer: keras.Layer) -> list[Kernel]:
    """Return what a layer made by `add_weight` or as a variable, but for what the table knows of it."""
    known = type(layer).__module__.startswith("keras.") and _kind(layer) in _ATTRIBUTES
    if known or getattr(layer, "tfopt_bridge", False):
        return []
    named: dict[str, str] = getattr(type(layer), "tfopt_constraints", {})
    attributes = {id(getattr(layer, name)): attribute for name, attribute in named.items()}
    prefix = f"{path}/" if path else ""
    return [
        Kernel(prefix + variable.name, layer, variable, attributes.get(id(variable)), by_default=False)
        for variable in graph.own_trainable(layer)
        if len(variable.shape) > 1
    ]


def _kind(layer: Any) -> str:
    """Return the name of the Keras class in the table that `layer` is of, `""` where it is of none."""
    for kind in type(layer).__mro__:
        known = kind.__name__ in _ATTRIBUTES or kind.__name__ in _HIDDEN_CELLS
        if known and kind.__module__.startswith("keras."):
            return kind.__name__
    return ""
