"""AdEMAMix: Adam with a second, much slower average of the gradient."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Count, Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group, Layout, UpdateStep


@keras.saving.register_keras_serializable(package="tfopt")
class AdEMAMix(Optimizer):
    """Mixes a fast average of the gradient with one that remembers ten thousands of steps.

    With averages `m1` (by `beta_1`) and `m2` (by `beta_3`) of the gradient and `v` of its square after `t`
    updates; `m2` is not bias-corrected:

        p <- p - learning_rate ((m1 / (1 - beta_1^t) + alpha m2) / (sqrt(v / (1 - beta_2^t)) + epsilon)
                                + weight_decay p)

    The slow average unsettles early training. `alpha_warmup` raises `alpha` linearly from 0, `beta_3_warmup`
    the half-life of the slow average linearly from that of `beta_1`; the authors set both to the length of
    the training.

    Keeps three numbers a weight: 12 bytes in float32; with `beta_1=0`, two (Keras's Adam: two).

    Reference: Pagliardini et al., The AdEMAMix Optimizer: Better, Faster, Older (2024, arXiv 2409.03137),
    algorithm 1 and equations 3 and 4.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the fast average keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        beta_3: fraction that the slow average keeps, in [0, 1).
        alpha: weight of the slow average, >= 0; 4 to 10 is usual.
        epsilon: added to the root of the bias-corrected average square, > 0.
        alpha_warmup: updates until `alpha` is reached, >= 1, or `None`.
        beta_3_warmup: updates until `beta_3` is reached, >= 1, or `None`.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = AdEMAMix(1e-3, alpha_warmup=10_000, beta_3_warmup=10_000, weight_decay=0.1)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    slots = ("fast_average", "slow_average", "square_average")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.999,
        beta_3: Fraction = 0.9999,
        alpha: NonNegative = 5.0,
        epsilon: Positive = 1e-8,
        alpha_warmup: Count | None = None,
        beta_3_warmup: Count | None = None,
        weight_decay: NonNegative | None = None,
        name: str = "ademamix",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2, self.beta_3 = beta_1, beta_2, beta_3
        self.alpha = alpha
        self.epsilon = epsilon
        self.alpha_warmup, self.beta_3_warmup = alpha_warmup, beta_3_warmup

    def create_state(self, layout: Layout) -> dict[str, keras.Variable]:
        """Return the state of a group; without `beta_1` the fast average is the gradient."""
        slots = self.slots if self.beta_1 else self.slots[1:]
        return {slot: self.add_state(layout, slot) for slot in slots}

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, step, gradient = group.state, group.step, group.gradient
        beta_3, rest = self._slow_shares(step)
        new = {
            "slow_average": state["slow_average"] * beta_3 + gradient * rest,
            "square_average": state["square_average"] * self.beta_2 + tf.square(gradient) * (1 - self.beta_2),
        }
        fast = gradient
        if self.beta_1:
            fast = new["fast_average"] = state["fast_average"] * self.beta_1 + gradient * (1 - self.beta_1)
        rate = step.learning_rate
        numerator = fast * (rate / step.bias_correction(self.beta_1))
        numerator += new["slow_average"] * (rate * self._slow_weight(step))
        root = tf.sqrt(new["square_average"] / step.bias_correction(self.beta_2))
        return numerator / (root + self.epsilon), new

    def _slow_weight(self, step: UpdateStep) -> Any:
        """Return `alpha` at an update."""
        if self.alpha_warmup is None:
            return self.alpha
        return self.alpha * tf.minimum(step.number / self.alpha_warmup, 1.0)

    def _slow_shares(self, step: UpdateStep) -> tuple[Any, Any]:
        """Return what the slow average keeps at an update, and what it takes of the gradient."""
        if self.beta_3_warmup is None:
            return self.beta_3, 1 - self.beta_3
        first, last = _half_life(self.beta_1), _half_life(self.beta_3)
        done = step.number / self.beta_3_warmup
        kept_log = math.log(0.5) / ((1 - done) * first + done * last + 1)
        warm = done >= 1
        return (
            tf.where(warm, self.beta_3, tf.exp(kept_log)),
            tf.where(warm, 1 - self.beta_3, -tf.math.expm1(kept_log)),
        )


def _half_life(beta: float) -> float:
    """Return the updates after which half is forgotten, less 1, as the authors count them."""
    # Theirs too is the 1e-8, which lets beta be 0; near 1 it shows.
    return math.log(0.5) / math.log(min(beta + 1e-8, 1 - 2**-53)) - 1
