"""Gradient accumulation under a strategy with several replicas, where Keras 3.15 raises.

Its optimizers decide in each replica whether a batch completes an update, and wait for the other replicas
inside that decision, which TensorFlow forbids. Here the replicas meet first and decide together, as Keras's
`LossScaleOptimizer` does. There is no public way: `_backend_apply_gradients` holds the decision. With
`ema_overwrite_frequency` Keras raises with or without accumulation, and so it does here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

METHOD = "_backend_apply_gradients"
PRIVATE = (
    METHOD,
    "_backend_increment_gradient_accumulators",
    "_backend_reset_gradient_accumulators",
    "_apply_weight_decay",
    "_clip_gradients",
    "_iterations",
)
"""What an optimizer must have."""


def stand_in(optimizer: keras.optimizers.Optimizer) -> None:
    """Let an optimizer of Keras's do it too."""
    kind = type(optimizer)
    own = functools.partial(getattr(kind, METHOD), optimizer)
    # As an attribute that Keras does not track.
    vars(optimizer)[METHOD] = functools.partial(apply_gradients, optimizer, own)


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
        optimizer._update_model_variables_moving_average(optimizer._trainable_variables)


def _decide(optimizer: Any, strategy: Any, gradients: Sequence, variables: Sequence) -> None:
    """Run in all replicas what is due for all."""
    completes = (optimizer._iterations + 1) % optimizer.gradient_accumulation_steps == 0

    def everywhere(what: Callable) -> None:
        each = functools.partial(what, optimizer)
        strategy.extended.call_for_each_replica(each, args=(gradients, variables))

    tf.cond(completes, lambda: everywhere(_update), lambda: everywhere(_add))


def _sums(optimizer: Any, variables: Sequence) -> list:
    return [optimizer._accumulated_gradients[optimizer._get_variable_index(v)] for v in variables]


def _add(optimizer: Any, gradients: Sequence, variables: Sequence) -> None:
    optimizer._backend_increment_gradient_accumulators(gradients, _sums(optimizer, variables))


def _update(optimizer: Any, gradients: Sequence, variables: Sequence) -> None:
    steps = optimizer.gradient_accumulation_steps
    means = [(g + held) / steps for g, held in zip(gradients, _sums(optimizer, variables), strict=True)]
    optimizer._apply_weight_decay(variables)
    optimizer._backend_update_step(optimizer._clip_gradients(means), variables, optimizer.learning_rate)
    optimizer._backend_reset_gradient_accumulators()
