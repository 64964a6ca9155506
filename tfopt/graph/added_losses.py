"""Losses that layers add by themselves, as parts of a graph.

`self.add_loss(...)` in `call`, and an activity regularizer, make tensors that no output is made of, and a graph
holds nothing else. So they hang on an output: `AddedLosses` returns it as it is. What computes them is in the
graph beside what a file holds, and ends there.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import keras
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.users_code import functions_in, mentions, methods

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
class AddedLosses(keras.layers.Layer):
    """Returns the first of a list of tensors, and adds the others to the loss.

    Args:
        when: each of the others is added.
    """

    tfopt_identity = True
    """Tells `tfopt.graph.evaluate` that the layer makes no tensor of its own."""

    unread: str | None = None
    """The layer whose code could be read as at inference alone, and why; `None` where it was read in both ways."""

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


@keras.saving.register_keras_serializable(package="tfopt")
class ActivityPenalty(keras.layers.Layer):
    """Returns what Keras adds to the loss for an output of a layer with an activity regularizer.

    Args:
        regularizer: of a tensor, as Keras takes them.
    """

    def __init__(self, regularizer: Any, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.regularizer = keras.regularizers.get(regularizer)
        self.supports_masking = True  # lest Keras warns: a regularizer looks at masked steps too

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the penalty of a sample, on average."""
        penalty = self.regularizer(inputs)
        if not inputs.shape.rank:
            return penalty
        return tf.math.divide_no_nan(penalty, tf.cast(tf.shape(inputs)[0], penalty.dtype))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Return None: a penalty is of no sequence."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "regularizer": keras.regularizers.serialize(self.regularizer)}


class ActivityRegularizers:
    """Takes the activity regularizers off layers, so that what these are made of has none.

    The layers must be private to the caller.
    """

    def __init__(self) -> None:
        self._taken: dict[int, tuple[keras.Operation, Any]] = {}

    def taken(self, operation: Any) -> Any:
        """Return the regularizer that an operation had, None without."""
        regularizer = getattr(operation, "activity_regularizer", None)
        if regularizer is not None:
            self._taken[id(operation)] = operation, regularizer
            operation.activity_regularizer = None
        return self._taken.get(id(operation), (None, None))[1]

    def give_back(self, operation: Any) -> None:
        """Let an operation add its penalty by itself again."""
        _, regularizer = self._taken.pop(id(operation), (None, None))
        if regularizer is not None:
            operation.activity_regularizer = regularizer


def penalties(outputs: Any, penalty: Callable[[Any], Any]) -> list[Any]:
    """Return the losses of the outputs of a layer with an activity regularizer.

    Args:
        outputs: a structure with symbolic tensors.
        penalty: returns what is added for one of them.
    """
    return [penalty(x) for x in keras.tree.flatten(outputs) if isinstance(x, keras.KerasTensor)]


def in_both(losses: Sequence[Any], trained: Sequence[Any]) -> list[Loss]:
    """Return what code adds at inference and what it adds in training as one list.

    Args:
        losses, trained: tensors of one graph; what is added in both cases is the same tensor.
    """
    left = list(trained)
    found = []
    for loss in losses:
        place = next((place for place, each in enumerate(left) if each is loss), None)
        if place is not None:
            del left[place]
        found.append(Loss(loss, "inference" if place is None else "always"))
    return [*found, *(Loss(loss, "training") for loss in left)]


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
    return keras.Model(
        _keras.structure(model)[0], keras.tree.pack_sequence_as(outputs, flat), name=model.name
    )


def without_losses(model: keras.Model) -> keras.Model:
    """Return the functional model of the same layers and tensors that adds nothing to the loss at its outputs.

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


def warn_of_unread(reasons: Iterable[str]) -> None:
    """Warn that losses of training were not read.

    Args:
        reasons: layers, and why; see `AddedLosses.unread`.
    """
    for reason in reasons:
        warnings.warn(
            f"In training, code that adds losses does what cannot be read as operations: {reason}. The copy adds "
            "those losses in training that the code adds at inference. To train with all of them, write what it "
            "does in training of layers and keras.ops too.",
            UserWarning,
            stacklevel=3,
        )


def unread_losses(model: keras.Model) -> list[str]:
    """Return what was not read of a functional model; see `AddedLosses.unread`."""
    found = [getattr(operation, "unread", None) for operation, *_ in _keras.calls(model)]
    return [reason for reason in found if reason is not None]


def _is_read(model: keras.Model, tensor: keras.KerasTensor) -> bool:
    return any(
        x is tensor for _, args, kwargs, _ in _keras.calls(model) for x in keras.tree.flatten((args, kwargs))
    )


@contextlib.contextmanager
def recorded_losses(layers: Sequence[keras.Layer]) -> Iterator[list[Any]]:
    """Let the code of `layers` add symbolic losses, and yield the list that they are put into.

    Layers that are called with TensorFlow's tensors, to see the shapes that they return, add theirs elsewhere.

    Args:
        layers: private to the caller.
    """
    losses: list[Any] = []

    def add_loss(loss: Any) -> None:
        losses.extend(x for x in keras.tree.flatten(loss) if not _is_of_tensorflow_graph(x))

    own = [(attributes, attributes.get("add_loss")) for attributes in map(vars, layers)]
    for attributes, _ in own:
        attributes["add_loss"] = add_loss
    try:
        yield losses
    finally:
        for attributes, before in own:
            if before is None:
                del attributes["add_loss"]
            else:
                attributes["add_loss"] = before


def _is_of_tensorflow_graph(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and tf.is_symbolic_tensor(value)


def adds_losses(layer: keras.Layer) -> bool:
    """Return whether the code that users wrote for a layer speaks of `add_loss`."""
    own = [*(function for _, function in methods(type(layer))), *functions_in(vars(layer).values())]
    return any(mentions(function, "add_loss") for function in own)


def adds_losses_in_training(layer: keras.Layer) -> bool:
    """Return whether the losses that code adds may be others in training: it is told of that."""
    inside = [layer, *_keras.sublayers(layer)]
    return any("training" in inspect.signature(each.call).parameters for each in inside if _is_own(each)) and any(
        map(adds_losses, inside)
    )


def _is_own(layer: keras.Layer) -> bool:
    return type(layer).call.__module__.split(".")[0] not in ("keras", "tfopt")
