"""Gradient accumulation under a strategy with several replicas, where Keras 3.15 raises.

Its optimizers decide in each replica whether a batch completes an update, and wait for the other replicas
inside that decision, which TensorFlow forbids. Here the replicas meet first and decide together, as Keras's
`LossScaleOptimizer` does. The decision is in a private method of the optimizer (`keras_private.APPLY`). With
`ema_overwrite_frequency` Keras raises with or without accumulation, and so it does here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.optimizers._core import keras_private


def stand_in(optimizer: keras.optimizers.Optimizer) -> None:
    """Let an optimizer of Keras's do it too."""
    kind = type(optimizer)
    own = functools.partial(getattr(kind, keras_private.APPLY), optimizer)
    vars(optimizer)[keras_private.APPLY] = functools.partial(apply_gradients, optimizer, own)


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, own: Callable, gradients: Sequence, variables: Sequence
) -> None:
    """Add the gradients of one batch up, or update `variables` where it is time; in each replica.

    Args:
        optimizer: whose accumulators and rule are used.
        own: (gradients, variables) -> what the optimizer does with one replica.
        gradients: of the batch.
        variables: of the gradients.
    """
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    if not several or not optimizer.gradient_accumulation_steps or optimizer.ema_overwrite_frequency:
        own(gradients, variables)
        return
    decide = functools.partial(_decide, optimizer)
    tf.distribute.get_replica_context().merge_call(decide, args=(list(gradients), list(variables)))
    if optimizer.use_ema:
        keras_private.move_averages(optimizer)


def _decide(optimizer: Any, strategy: Any, gradients: Sequence, variables: Sequence) -> None:
    """Run in all replicas what is due for all."""
    completes = keras_private.completes_an_update(optimizer)

    def everywhere(what: Callable) -> None:
        each = functools.partial(what, optimizer)
        strategy.extended.call_for_each_replica(each, args=(gradients, variables))

    tf.cond(completes, lambda: everywhere(_update), lambda: everywhere(keras_private.accumulate))


def _update(optimizer: Any, gradients: Sequence, variables: Sequence) -> None:
    steps = optimizer.gradient_accumulation_steps
    sums = keras_private.sums_of(optimizer, variables)
    means = [(gradient + held) / steps for gradient, held in zip(gradients, sums, strict=True)]
    keras_private.update(optimizer, means, variables)
