"""Layer-wise trust ratio: steps as long as the weights allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Positive, checked
from tfopt.optimizers._core.arguments import Patterns
from tfopt.optimizers.wrappers.base import Wrapper


@keras.saving.register_keras_serializable(package="tfopt")
class TrustRatio(Wrapper):
    """Scales any optimizer's update of each variable to the norm of the weights times the learning rate.

    With the weights `w` of a variable before the update, and the update `u` of the inner optimizer at
    learning rate 1, weight decay included:

        p <- w - learning_rate min(|w| / |u|, clip) u

    Where `|w|` or `|u|` is 0, the ratio is 1. Around AdamW this is LAMB, around SGD with momentum LARS of
    the update (`LARS` itself scales the gradient before momentum). Keeps no state; makes a copy of the
    weights in each step.

    The ratio is of the whole update and each variable by itself: weight decay counts in `|u|`, and a
    variable of zeros still moves.

    Reference: You et al., Large Batch Optimization for Deep Learning: Training BERT in 76 minutes (2019,
    arXiv 1904.00962), algorithm 2.

    Args:
        inner_optimizer: the optimizer that gives the direction.
        clip: the largest ratio, > 0, or `None` for no bound.
        exclude: regular expressions; a variable whose path (`"bn1/gamma"`) holds one keeps the inner
            optimizer's update. Usual: `("bias", "gamma", "beta")`.
        name: of the optimizer.

    Raises:
        InvalidArgumentError: a number is out of its range, or see `Wrapper`.

    Example:
        >>> lamb = TrustRatio(keras.optimizers.AdamW(1e-3, weight_decay=0.01), exclude=("bias",))
        >>> model.compile(lamb, loss="sparse_categorical_crossentropy")
    """

    @checked
    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        clip: Positive | None = None,
        exclude: Patterns = (),
        name: str = "trust_ratio",
    ) -> None:
        super().__init__(inner_optimizer, name=name)
        self.clip = clip
        self.exclude = exclude

    def update_variables(self, gradients: Sequence, variables: Sequence, learning_rate: Any) -> None:
        """Update the variables of one replica."""
        adapted = [variable for variable in variables if not self.has_path(variable, self.exclude)]
        before = [tf.identity(variable) for variable in adapted]
        self.update_inner(gradients, variables, learning_rate)
        for variable, old in zip(adapted, before, strict=True):
            update = tf.cast(old - variable, tf.float32)
            rate = tf.cast(learning_rate, tf.float32)
            weight_norm, step_norm = tf.norm(tf.cast(old, tf.float32)), tf.norm(update)
            # The inner step holds one factor of the learning rate.
            ratio = tf.where((weight_norm > 0) & (step_norm > 0), rate * weight_norm / step_norm, 1.0)
            if self.clip is not None:
                ratio = tf.minimum(ratio, self.clip)
            self.assign(variable, old - tf.cast(ratio * update, old.dtype))
