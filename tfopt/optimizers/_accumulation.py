"""Gradient accumulation over several replicas, which Keras 3.15 lacks.

Keras decides in each replica whether a batch makes an update; inside such a branch no replica can wait for the
others, and it raises. Here the decision is made once for all, around the replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def needed(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether `optimizer` accumulates, and runs in one of several replicas."""
    context = tf.distribute.get_replica_context()
    return bool(optimizer.gradient_accumulation_steps) and context.num_replicas_in_sync > 1


def apply_or_accumulate(
    optimizer: keras.optimizers.Optimizer, gradients: Sequence, variables: Sequence
) -> None:
    """Add to what `optimizer` has accumulated, or update by its mean; called in each replica.

    `ema_overwrite_frequency` is not looked at; Keras raises for it under several replicas.
    """
    steps = optimizer.gradient_accumulation_steps

    def sums(variables: Sequence) -> list:
        return [optimizer._accumulated_gradients[optimizer._get_variable_index(v)] for v in variables]

    def update(gradients: Sequence, variables: Sequence) -> None:
        totals = sums(variables)
        means = [(g + total) / steps for g, total in zip(gradients, totals, strict=True)]
        means = optimizer._clip_gradients(means)
        optimizer._apply_weight_decay(variables)
        optimizer._backend_update_step(means, variables, optimizer.learning_rate)
        for total in totals:
            total.assign(tf.zeros_like(total))

    def add(gradients: Sequence, variables: Sequence) -> None:
        for total, gradient in zip(sums(variables), gradients, strict=True):
            total.assign_add(tf.convert_to_tensor(gradient))

    def across(distribution: Any, gradients: Sequence, variables: Sequence) -> None:
        def in_each_replica(function: Callable[[Sequence, Sequence], None]) -> Callable[[], None]:
            def call() -> None:
                distribution.extended.call_for_each_replica(function, args=(gradients, variables))

            return call

        is_last = tf.equal((optimizer._iterations + 1) % steps, 0)
        tf.cond(is_last, in_each_replica(update), in_each_replica(add))

    tf.distribute.get_replica_context().merge_call(across, args=(gradients, variables))
    if optimizer.use_ema:
        optimizer._update_model_variables_moving_average(optimizer._trainable_variables)
