"""Calling users' models, some of which cannot run on what they are built for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfopt.errors import TfoptError, UnsupportedModel
from tfopt.graph.tracing.trace import plain_text


@contextlib.contextmanager
def running(model: keras.Model) -> Iterator[None]:
    """Re-raise errors of `model` itself with its name.

    Raises:
        UnsupportedModel: the model failed.
    """
    try:
        yield
    except TfoptError:
        raise
    except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
        raise UnsupportedModel(
            f"The model {model.name!r} itself fails on a batch of its inputs: {type(error).__name__}: "
            f"{plain_text(error)} Change it until model.predict(x) runs."
        ) from error
