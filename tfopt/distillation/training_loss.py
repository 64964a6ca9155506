"""Another loss in the training steps of a compiled model, for as long as a context lasts."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfopt import graph
from tfopt.errors import UnsupportedModel


@contextlib.contextmanager
def training_loss(model: keras.Model, combine: Callable[[Any, Any, Any], Any]) -> Iterator[None]:
    """Let `fit` minimize what `combine` makes of the compiled loss; `evaluate` shows the compiled one.

    Args:
        model: compiled, whose training step is Keras's.
        combine: takes the inputs, the outputs and the loss of a batch, and returns the loss to minimize.
    """
    own = model.compute_loss
    told = "training" in inspect.signature(own).parameters

    def compute_loss(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        settings = {"training": training} if told else {}
        loss = own(x, y, y_pred, sample_weight, **settings)
        return combine(x, y_pred, loss) if training else loss

    model.compute_loss = compute_loss
    try:
        _retrace(model)
        yield
    finally:
        del model.compute_loss
        _retrace(model)


def require_keras_step(model: keras.Model, why: str, instead: str = "") -> None:
    """Raise where a model has a training step in which another loss would have no part.

    Args:
        model: that is to train.
        why: the clause that says what would have none.
        instead: what else its user may do; the end of the sentence.

    Raises:
        UnsupportedModel: its class defines `train_step` or `fit`.
    """
    own = graph.own_training(model)
    if "train_step" in own or "fit" in own:
        raise UnsupportedModel(
            f"The model {model.name!r} trains by its own {own[0]}() ({type(model).__name__}), {why}: let the "
            f"class compute its loss in compute_loss(){instead}."
        )


def _retrace(model: keras.Model) -> None:
    """Let the next `fit` trace its step anew: it has the loss of the last one in it."""
    model.train_function = model.test_function = None
