"""The one place that reads and sets what Keras keeps private about single layers.

A layer notes the variables and layers that are set as its attributes in lists that a locked tracker guards,
which must agree where one variable takes the place of another. What layers do to constants, Keras computes at
once; to see it as a part of the graph, layers that are private to a trace get a class of their own for it.
Losses of all threads are in one list. Attention has no public way to change how it masks. All of it is so in
Keras 3.10 to 3.15.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfopt.graph import _keras


def own_trainable(layer: keras.Layer) -> list[keras.Variable]:
    """Return the variables that `layer` itself made to be trained, also where it is frozen now."""
    return list(layer._trainable_variables)


def replace_variable(layer: keras.Layer, old: keras.Variable, new: keras.Variable) -> None:
    """Let `layer`, which is built, have `new` by the names by which it has `old`."""
    names = [name for name, value in vars(layer).items() if value is old]
    lists = layer._trainable_variables, layer._non_trainable_variables
    ordered = [[new if each is old else each for each in variables] for variables in lists]
    layer._untrack_variable(old)
    layer._tracker.unlock()
    for name in names:
        setattr(layer, name, new)
    layer._tracker.lock()
    for variables, order in zip(lists, ordered, strict=True):
        list.__setitem__(variables, slice(None), order)


def shared_constraint(layer: keras.Layer) -> str | None:
    """Return the attribute with the one constraint of the kernels of all layers in `layer`; None without."""
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return "_kernel_constraint"
    return "kernel_constraint" if isinstance(layer, keras.layers.GroupQueryAttention) else None


@contextlib.contextmanager
def calls_replaced(layers: list[keras.Layer], called: Callable[..., Any]) -> Iterator[None]:
    """Let `called(layer, call, args, kwargs)` run where one of `layers` is called.

    `call` is what would have run. The class of these layers alone changes meanwhile, to one that
    differs in `__call__`.
    """
    classes = {id(layer): type(layer) for layer in layers}
    for layer in layers:
        old = type(layer)

        def call(self: keras.Layer, *args: Any, old: type = old, **kwargs: Any) -> Any:
            return called(self, functools.partial(old.__call__, self), args, kwargs)

        new = type(old.__name__, (old,), {"__call__": call, "__module__": old.__module__})
        object.__setattr__(layer, "__class__", new)  # Layer.__setattr__ would look for variables in it
    try:
        yield
    finally:
        for layer in layers:
            object.__setattr__(layer, "__class__", classes[id(layer)])


class LossesByThread(keras.layers.Layer):
    """A layer that tells each thread the losses that this thread has added.

    The replicas of a strategy run in threads that take turns wherever ranges are averaged over them, and
    Keras holds the losses of all in one list, `Layer._losses`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._threads: dict[int, int] = {}  # `id` of a loss -> the thread that added it

    def add_loss(self, loss: Any) -> None:
        """Add a loss, for this thread."""
        if not self._losses:
            self._threads.clear()
        self._threads[id(loss)] = threading.get_ident()
        super().add_loss(loss)

    def _get_own_losses(self) -> list[Any]:
        """Return what this thread has added; what any has where it has added none."""
        found = super()._get_own_losses()
        own = [loss for loss in found if self._threads.get(id(loss)) == threading.get_ident()]
        return own or found


def attention_projections(layer: keras.Layer) -> dict[str, Any]:
    """Return the projections in an attention layer by what they make; Keras makes them in this order.

    A layer that was copied out of another may have numbers in the names of its projections.
    """
    found = [each for each in _keras.sublayers(layer) if isinstance(each, keras.layers.EinsumDense)]
    names = ["query", "key", "gate", "value", "attention_output"]
    if len(found) < len(names):
        names.remove("gate")
    return dict(zip(names, found, strict=True))


def attention_dropout(layer: keras.Layer) -> float:
    """Return the rate of dropout of the scores of a `MultiHeadAttention` or `GroupQueryAttention`."""
    return layer.dropout if isinstance(layer, keras.layers.GroupQueryAttention) else layer._dropout


@contextlib.contextmanager
def attention_masked(layer: keras.Layer, masked: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Let an attention layer, private to the caller, compute the softmax of `masked(scores, mask)`.

    Keras gives no way to choose what becomes of a query that may read no key.
    """

    def masked_softmax(scores: Any, attention_mask: Any = None) -> Any:
        return layer._softmax(scores if attention_mask is None else masked(scores, attention_mask))

    vars(layer)["_masked_softmax"] = masked_softmax
    try:
        yield
    finally:
        del vars(layer)["_masked_softmax"]


def is_bookkeeping(attribute: str) -> bool:
    """Return whether an attribute of a layer is Keras's or TensorFlow's list of what the others hold."""
    return attribute in _BOOKKEEPING or attribute.startswith("_self_")


_BOOKKEEPING = {
    "_tracker",
    "_trainable_variables",
    "_non_trainable_variables",
    "_layers",
    "_metrics",
    "_seed_generators",
    "_losses",
    "_inbound_nodes",
    "_outbound_nodes",
    "_functional",
}
