"""The one place that knows the private parts of `keras.optimizers.Optimizer`: those of Keras 3.10 to 3.15.

An update passes through private methods alone: `apply` sees the gradients of one replica and one batch, still
with the loss scale, and what follows (accumulation, the sum over replicas, clipping, decay, the rule) has no
public place to take part in. tfopt's own optimizers override these methods (`KerasOptimizer`). In one of
Keras's optimizers, a callable of the same name on the instance hides the method of the class: written into
`vars`, so that Keras does not track it.

The methods in the order in which an update passes through them:
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import UnsupportedModel

APPLY = "_backend_apply_gradients"
"""(gradients, variables): what one replica does with the gradients of a batch, accumulation included."""
INCREMENT = "_backend_increment_gradient_accumulators"
"""(gradients, accumulators): adds the gradients of a batch to the sums."""
RESET = "_backend_reset_gradient_accumulators"
"""(): sets the sums to zero."""
DECAY = "_apply_weight_decay"
"""(variables): decays all variables, before the update."""
CLIP = "_clip_gradients"
"""(gradients): returns them clipped, before the sum over replicas."""
RATE = "_get_current_learning_rate"
"""(): returns the rate of the next update."""
UPDATE_STEP = "_backend_update_step"
"""(gradients, variables, learning_rate): sums over replicas, and updates. Called with exactly the gradients
that are to be applied."""
ALL_REDUCE = "_all_reduce_sum_gradients"
"""(pairs of gradient and variable): returns them summed over replicas."""
UPDATE = "_distributed_tf_update_step"
"""(strategy, pairs of gradient and variable, learning_rate): updates by gradients that are summed."""
ITERATIONS = "_iterations"
"""The number of batches; `iterations` is that of updates."""

FOR_ACCUMULATION = (APPLY, INCREMENT, RESET, DECAY, CLIP, ITERATIONS)
"""What an optimizer must have so that several replicas can accumulate gradients."""
FOR_UPDATES = (UPDATE_STEP, ALL_REDUCE, UPDATE)
"""What an optimizer must have so that its updates can be seen and changed."""


def require_tensorflow(optimizer: str) -> None:
    """Raise unless Keras runs on TensorFlow: on another backend, none of the methods here is ever called.

    Raises:
        UnsupportedModel: it does not.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UnsupportedModel(
            f"{optimizer} updates by TensorFlow, and Keras runs on {backend} here: take one of "
            "keras.optimizers, which tfopt.schedules go with, or start Python with KERAS_BACKEND=tensorflow."
        )


class KerasOptimizer(keras.optimizers.Optimizer):
    """Keras's optimizer, whose private steps call methods that a subclass writes.

    Two of them do nothing here: Keras clips before the sum over replicas, and decays all variables before the
    update, also in a step that is skipped.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        require_tensorflow(type(self).__name__)
        super().__init__(*arguments, **named)

    def _apply_in_replica(self, own: Callable[..., None], gradients: Sequence, variables: Sequence) -> None:
        """Do what one replica does with the gradients of a batch; `own` is Keras's way."""
        own(gradients, variables)

    def _update_everywhere(self, distribution: Any, pairs: Sequence, learning_rate: Any) -> None:
        """Update the variables of all replicas by pairs of gradient, summed over replicas, and variable."""
        raise NotImplementedError

    def _backend_apply_gradients(self, grads: Sequence, trainable_variables: Sequence) -> None:
        self._apply_in_replica(super()._backend_apply_gradients, grads, trainable_variables)

    def _distributed_tf_update_step(self, distribution: Any, pairs: Sequence, learning_rate: Any) -> None:
        self._update_everywhere(distribution, pairs, learning_rate)

    def _get_current_learning_rate(self) -> Any:
        return current_learning_rate(self)

    def _apply_weight_decay(self, variables: Sequence) -> None:
        """Do nothing."""

    def _clip_gradients(self, grads: Sequence) -> Sequence:
        """Return the gradients as they are."""
        return grads


# What an optimizer knows.


def variables_of(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """Return the variables that an optimizer was built with."""
    return optimizer._trainable_variables


def index_of(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Return the position of a replica's variable among those that the optimizer was built with."""
    return optimizer._get_variable_index(variable)


def strategy_of(optimizer: keras.optimizers.Optimizer) -> tf.distribute.Strategy:
    """Return the distribution strategy in whose scope an optimizer was made."""
    return optimizer._distribution_strategy


def decays(optimizer: keras.optimizers.Optimizer, variable: Any) -> bool:
    """Return whether an optimizer of Keras's decays `variable`."""
    return optimizer._use_weight_decay(variable)


def configured_learning_rate(optimizer: keras.optimizers.Optimizer) -> Any:
    """Return the rate that an optimizer was made with: a variable, a schedule or a function.

    Keras's public `learning_rate` is the number of the moment where there is a schedule.
    """
    return optimizer._learning_rate


def current_learning_rate(optimizer: keras.optimizers.Optimizer) -> Any:
    """Return the rate of the next update, as Keras's private method of the class does, by updates."""
    # Keras hands a schedule `_iterations`, which counts batches also where several make one update.
    if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return optimizer._learning_rate(optimizer.iterations)
    return keras.optimizers.Optimizer._get_current_learning_rate(optimizer)


# What an optimizer does.


def clipped(optimizer: keras.optimizers.Optimizer, gradients: Sequence) -> Sequence:
    """Return gradients clipped by `clipnorm`, `clipvalue` or `global_clipnorm` of the optimizer."""
    kind = keras.optimizers.Optimizer if isinstance(optimizer, KerasOptimizer) else type(optimizer)
    return kind._clip_gradients(optimizer, gradients)


def uncount(optimizer: keras.optimizers.Optimizer) -> None:
    """Take back the update that Keras will count, as its LossScaleOptimizer counts none that it skips."""
    optimizer._iterations.assign_sub(optimizer.gradient_accumulation_steps or 1)


def completes_an_update(optimizer: keras.optimizers.Optimizer) -> Any:
    """Return whether the batch at hand is the last one of those whose gradients make an update."""
    return (optimizer._iterations + 1) % optimizer.gradient_accumulation_steps == 0


def sums_of(optimizer: keras.optimizers.Optimizer, variables: Sequence) -> list:
    """Return the variables that hold the sums of accumulated gradients."""
    return [optimizer._accumulated_gradients[index_of(optimizer, each)] for each in variables]


def accumulate(optimizer: keras.optimizers.Optimizer, gradients: Sequence, variables: Sequence) -> None:
    """Add the gradients of a batch to the sums."""
    optimizer._backend_increment_gradient_accumulators(gradients, sums_of(optimizer, variables))


def update(optimizer: keras.optimizers.Optimizer, gradients: Sequence, variables: Sequence) -> None:
    """Decay, clip and update, and set the sums of accumulated gradients to zero."""
    optimizer._apply_weight_decay(variables)
    optimizer._backend_update_step(optimizer._clip_gradients(gradients), variables, optimizer.learning_rate)
    optimizer._backend_reset_gradient_accumulators()


def move_averages(optimizer: keras.optimizers.Optimizer) -> None:
    """Move the averages of the weights (`use_ema`)."""
    optimizer._update_model_variables_moving_average(optimizer._trainable_variables)


def summed_over_replicas(optimizer: keras.optimizers.Optimizer, pairs: list) -> list:
    """Return pairs of gradient and variable with the gradients summed over replicas."""
    return optimizer._all_reduce_sum_gradients(pairs)


def update_nothing(optimizer: keras.optimizers.Optimizer, learning_rate: Any) -> None:
    """Do what an optimizer does beside updating variables: Nadam multiplies up its momenta there."""
    type(optimizer)._backend_update_step(optimizer, [], [], learning_rate)


def update_summed(
    optimizer: keras.optimizers.Optimizer, strategy: Any, pairs: list, learning_rate: Any
) -> None:
    """Update by pairs of gradient and variable, the gradients summed over replicas."""
    optimizer._distributed_tf_update_step(strategy, pairs, learning_rate)


def merged(strategy: tf.distribute.Strategy, what: Callable[..., None], *arguments: Any) -> None:
    """Call `what(strategy, *arguments)` once for all replicas, as Keras's optimizers do.

    TensorFlow's public `merge_call` also waits for other replicas where there is but one.
    """
    tf.__internal__.distribute.interim.maybe_merge_call(what, strategy, *arguments)


# What a training step of a model is made of.


def takes_training(model: keras.Model) -> bool:
    """Return whether the `call` of a model takes `training`."""
    return model._call_has_training_arg


def loss_of(model: keras.Model, x: Any, y: Any, prediction: Any, sample_weight: Any) -> Any:
    """Return the loss of a batch, as the training step computes it for all ways to override it."""
    return model._compute_loss(x=x, y=y, y_pred=prediction, sample_weight=sample_weight, training=True)
