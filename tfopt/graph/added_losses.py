"""Losses that layers add by themselves, as parts of a graph.

`self.add_loss(...)` in `call`, and an activity regularizer, make tensors that no output is made of, and a
graph holds nothing else. So they hang on an output: `AddedLosses` returns it as it is. What computes them
stands in the graph next to what a file holds, and ends there.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import keras
import tensorflow as tf

from tfopt.graph import _keras, _keras_layers

When: TypeAlias = Literal["always", "training", "inference"]
"""The calls in which a loss is added."""

LOSSES_SUFFIX = ".losses"
"""What the name of `AddedLosses` ends in, after the name of what makes its first input."""


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss in a graph.

    Attributes:
        tensor: its value, a number or several.
        when: it is added.
    """

    tensor: keras.KerasTensor
    when: When = "always"


@keras.saving.register_keras_serializable(package="tfopt")
class AddedLosses(_keras_layers.LossesByThread):
    """Returns the first of a list of tensors, and adds the others to the loss.

    Args:
        when: each of the others is added.
    """

    tfopt_identity = True
    """Tells `tfopt.graph.evaluate` that the layer makes no tensor of its own."""

    unread: str | None = None
    """The layer whose code could be read as at inference alone, and why; `None` where it was read as in
    training too."""

    def __init__(self, when: Sequence[When], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.when = list(when)
        self.supports_masking = True

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Return the first input."""
        left_out = "inference" if training else "training"
        for loss, when in zip(inputs[1:], self.when, strict=True):
            if when != left_out:
                # Keras sums them with what compile() was given, and those of half precision do not fit.
                self.add_loss(tf.cast(loss, keras.config.floatx()))
        return tf.identity(inputs[0])

    def compute_output_spec(self, inputs: Sequence[Any], training: Any = None) -> keras.KerasTensor:
        """Return shape and dtype of the first input."""
        del training
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:  # noqa: ARG002 (Keras's signature)
        """Return the mask of the first input."""
        return None if previous_mask is None else previous_mask[0]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "when": self.when}


def with_losses(
    outputs: Any, losses: Sequence[Loss], unread: str | None = None, name: str | None = None
) -> Any:
    """Return a structure of outputs, the first symbolic tensor of which carries losses.

    Args:
        outputs: at least one of them symbolic.
        losses: to add.
        unread: see `AddedLosses`.
        name: of the layer; by default that of what makes the tensor, and `LOSSES_SUFFIX`.
    """
    if not losses and unread is None:
        return outputs
    left = [True]

    def carrying(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor) or not left:
            return value
        left.clear()
        made = _keras.call_of(value)
        own = (value.name if made is None else made[0].name) + LOSSES_SUFFIX
        layer = AddedLosses([loss.when for loss in losses], dtype=value.dtype, name=name or own)
        layer.unread = unread
        return layer([value, *(loss.tensor for loss in losses)])

    return keras.tree.map_structure(carrying, outputs)


def beside_losses(model: keras.Model, losses: Sequence[Loss]) -> keras.Model:
    """Return a functional model that returns the outputs of `model`, flat, and after them the losses.

    Without losses, `model` itself.
    """
    if not losses:
        return model
    tensors = [loss.tensor for loss in losses]
    return keras.Model(_keras.structure(model)[0], [*model.outputs, *tensors], name=model.name)


def adding_losses(model: keras.Model, outputs: Any, losses: Sequence[Loss]) -> keras.Model:
    """Return a functional model that adds to the loss what `model` returns after its outputs.

    Without losses, `model` itself.

    Args:
        model: as `beside_losses` returns it, or what was made of that.
        outputs: a structure for its outputs.
        losses: when each is added.
    """
    if not losses:
        return model
    count = len(model.outputs) - len(losses)
    first, *others = model.outputs[:count]
    made = _keras.call_of(first)
    name = None
    if made is not None and type(made[0]) is keras.layers.Identity and not _is_read(model, first):
        name, first = made[0].name, made[1][0]  # what adds the losses takes its place
    added = [Loss(x, loss.when) for x, loss in zip(model.outputs[count:], losses, strict=True)]
    flat = [with_losses(first, added, name=name), *others]
    inputs = _keras.structure(model)[0]
    return keras.Model(inputs, keras.tree.pack_sequence_as(outputs, flat), name=model.name)


def _is_read(model: keras.Model, tensor: keras.KerasTensor) -> bool:
    return any(
        x is tensor for _, args, kwargs, _ in _keras.calls(model) for x in keras.tree.flatten((args, kwargs))
    )


def without_losses(model: keras.Model) -> keras.Model:
    """Return the functional model of the same layers and tensors whose outputs carry no losses.

    What makes the losses alone is not in it.
    """
    flat = [_carried(x) for x in model.outputs]
    if all(one is other for one, other in zip(flat, model.outputs, strict=True)):
        return model
    inputs, outputs = _keras.structure(model)
    return keras.Model(inputs, keras.tree.pack_sequence_as(outputs, flat), name=model.name)


def _carried(tensor: keras.KerasTensor) -> keras.KerasTensor:
    made = _keras.call_of(tensor)
    return made[1][0][0] if made is not None and isinstance(made[0], AddedLosses) else tensor


def unread_losses(model: keras.Model) -> list[str]:
    """Return what of a functional model's losses was not read; see `AddedLosses.unread`."""
    found = [getattr(operation, "unread", None) for operation, *_ in _keras.calls(model)]
    return [reason for reason in found if reason is not None]


def warn_of_unread(reasons: Iterable[str]) -> None:
    """Warn that losses of training were not read.

    Args:
        reasons: layers, and why; see `AddedLosses.unread`.
    """
    for reason in reasons:
        warnings.warn(
            f"In training, code that adds losses does what cannot be read as operations: {reason}. The copy "
            "adds in training what the code adds at inference. To train with all of its losses, write what "
            "it does in training of layers and keras.ops too.",
            UserWarning,
            stacklevel=3,
        )
