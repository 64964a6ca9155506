"""Optimizers around another optimizer.

A wrapper takes part in the very update of the optimizer within: after gradients were accumulated, summed over
replicas and clipped, before constraints and the moving average of weights. For that it hides private methods
of the innermost optimizer (`_stand_in`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import checked, with_arguments
from tfopt.clipping.gradients import sum_duplicates, values
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers._core import keras_private, replicated_accumulation
from tfopt.optimizers._core.base import (
    Optimizer,
    has_path,
    on_each_replica,
    path_patterns,
)


class Wrapper(keras.optimizers.Optimizer):
    """Base of optimizers that change what another one does; a subclass overrides `update_variables`.

    Learning rate, weight decay, accumulation, clipping, moving average of weights and loss scale are those of
    the inner optimizer, which may be Keras's, tfopt's or another wrapper. What tfopt's base class fixes holds
    for an optimizer of Keras's as soon as it is wrapped: an update with inf or NaN in any gradient is
    skipped, not counted and decays no weight; duplicate rows of sparse gradients are summed first; a schedule
    counts updates; the sum over replicas is clipped; and gradients accumulate over several replicas.

    Args:
        inner_optimizer: not built yet. A `LossScaleOptimizer` goes around the wrapper, not into it; in a
            `MultiOptimizer`, each optimizer is wrapped by itself.
        name: of the optimizer.

    Raises:
        InvalidArgumentError: `inner_optimizer` is none, is built, is in another wrapper, or holds a wrapper
            of the same kind.
    """

    @checked
    def __init__(self, inner_optimizer: keras.optimizers.Optimizer, name: str | None = None) -> None:
        keras_private.require_tensorflow(type(self).__name__)
        inner = _checked(type(self), inner_optimizer)
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner
        self._decay_exclusions: tuple[str, ...] = ()
        self._stand_in(self.innermost)

    @property
    def innermost(self) -> keras.optimizers.Optimizer:
        """The optimizer within all wrappers."""
        inner = self.inner_optimizer
        return inner.innermost if isinstance(inner, Wrapper) else inner

    def update_variables(self, gradients: Sequence, variables: Sequence, learning_rate: Any) -> None:
        """Update the variables of one replica; a subclass does more than the inner optimizer.

        Args:
            gradients: summed over replicas; finite; `tf.IndexedSlices` without duplicates for an Embedding
                in a Keras optimizer.
            variables: this replica's copies.
            learning_rate: of this update.
        """
        self.update_inner(gradients, variables, learning_rate)

    def update_inner(
        self, gradients: Sequence, variables: Sequence, learning_rate: Any, *, decay: bool = True
    ) -> None:
        """Update the variables of one replica as the inner optimizer does.

        Args:
            gradients: in the form that `update_variables` is given.
            variables: this replica's copies.
            learning_rate: of this update.
            decay: whether weight decay is part of it. An inner optimizer that is not Keras's always decays.
        """
        inner = self.inner_optimizer
        if isinstance(inner, (Optimizer, Wrapper)):
            inner.update_variables(gradients, variables, learning_rate)
            return
        if decay:
            self.decay_inner(variables, learning_rate)
        for gradient, variable in zip(gradients, variables, strict=True):
            inner.update_step(gradient, variable, learning_rate)

    def decay_inner(self, variables: Sequence, learning_rate: Any) -> None:
        """Decay the variables of one replica as an inner optimizer of Keras's does before its update."""
        inner = self.inner_optimizer
        if isinstance(inner, (Optimizer, Wrapper)) or inner.weight_decay is None:
            return
        for variable in variables:
            if keras_private.decays(inner, variable) and not self.has_path(variable, self._decay_exclusions):
                rate = tf.cast(learning_rate, variable.dtype)
                variable.assign_sub(variable * (rate * inner.weight_decay))

    def index(self, variable: Any) -> int:
        """Return the position of a replica's variable in the list that the optimizer was built with."""
        return keras_private.index_of(self, variable)

    def has_path(self, variable: Any, patterns: Iterable[str]) -> bool:
        """Return whether the path of a replica's variable holds one of the regular expressions."""
        return has_path(keras_private.variables_of(self)[self.index(variable)], patterns)

    def _update(self, distribution: Any, pairs: Sequence, learning_rate: Any) -> None:
        on_each_replica(self._update_if_finite, distribution, pairs, learning_rate)

    def _update_if_finite(self, gradients: Sequence, variables: Sequence, learning_rate: Any) -> None:
        rule = self.innermost
        gradients = [sum_duplicates(gradient) for gradient in gradients]
        if not isinstance(rule, Optimizer):
            gradients = keras_private.clipped(rule, gradients)
        sums = [tf.cast(tf.reduce_sum(values(gradient)), tf.float32) for gradient in gradients]

        def update() -> None:
            self.update_variables(gradients, variables, learning_rate)

        tf.cond(tf.math.is_finite(tf.add_n(sums)), update, lambda: keras_private.uncount(rule))

    def _stand_in(self, rule: keras.optimizers.Optimizer) -> None:
        """Hide methods of `rule` by others."""
        vars(rule)[keras_private.UPDATE] = self._update
        if not isinstance(rule, Optimizer):
            replicated_accumulation.stand_in(rule)
            rate = functools.partial(keras_private.current_learning_rate, rule)
            vars(rule)[keras_private.RATE] = rate
            # These two come when it is certain that there is an update, and of what.
            vars(rule)[keras_private.CLIP] = lambda gradients: gradients
            vars(rule)[keras_private.DECAY] = lambda variables: None  # noqa: ARG005

    # Methods of an optimizer that the inner one carries out.

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for `variables`."""
        if self.built:
            return
        super().build(variables)
        self.inner_optimizer.build(variables)

    @tf.autograph.experimental.do_not_convert
    def apply(self, grads: Sequence, trainable_variables: Sequence | None = None) -> None:
        """Update `trainable_variables` (or the variables that the optimizer was built with) by `grads`."""
        if not self.built and trainable_variables is not None:
            with keras.name_scope(self.name):
                self.build(list(trainable_variables))
        if self.innermost.loss_scale_factor is not None:
            # Keras cannot divide sparse gradients.
            grads = [None if g is None else tf.convert_to_tensor(g) for g in grads]
        self.inner_optimizer.apply(grads, trainable_variables)

    @property
    def variables(self) -> list[keras.Variable]:
        """All state, the inner optimizer's included."""
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> Any:
        """Number of updates."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times the inner optimizer's `loss_scale_factor`."""
        return self.inner_optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list: Sequence) -> None:
        """Give the weights their final value, as the inner optimizer has it."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def exclude_from_weight_decay(
        self, var_list: Iterable | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Exclude variables from the inner optimizer's weight decay, before it is built.

        Args:
            var_list: model variables to exclude.
            var_names: regular expressions; a variable whose path (`"conv1/bias"`) holds one is excluded.
        """
        if isinstance(self.inner_optimizer, (Optimizer, Wrapper)):
            self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)
        else:
            # Keras forgets it in a saved model.
            self._decay_exclusions = path_patterns(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, and what is excluded from the weight decay of Keras's."""
        config = {
            "name": self.name,
            "inner_optimizer": keras.saving.serialize_keras_object(self.inner_optimizer),
            "exclude_from_weight_decay": list(self._decay_exclusions),
        }
        return with_arguments(self, config)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Wrapper:
        """Return the optimizer that `get_config` described."""
        config = dict(config)
        excluded = config.pop("exclude_from_weight_decay", ())
        config["inner_optimizer"] = keras.saving.deserialize_keras_object(
            config["inner_optimizer"], custom_objects
        )
        optimizer = cls(**config)
        optimizer._decay_exclusions = tuple(excluded)
        return optimizer


def _checked(kind: type[Wrapper], inner: Any) -> keras.optimizers.Optimizer:
    """Return `inner` if a wrapper of this kind can go around it."""
    name = kind.__name__
    if not isinstance(inner, keras.optimizers.Optimizer):
        raise InvalidArgumentError(
            f"{name}: expected a Keras optimizer to wrap, such as keras.optimizers.SGD(0.1), got {inner!r}."
        )
    if isinstance(inner, keras.optimizers.LossScaleOptimizer):
        raise InvalidArgumentError(
            f"{name}: got a LossScaleOptimizer; put it around: LossScaleOptimizer({name}(...))."
        )
    if isinstance(inner, keras.optimizers.MultiOptimizer):
        raise InvalidArgumentError(f"{name}: got a MultiOptimizer; wrap the optimizers in it one by one.")
    if inner.built:
        raise InvalidArgumentError(
            f"{name}: {inner.name} is built already; wrap a new optimizer, before compile()."
        )
    within = inner
    while isinstance(within, Wrapper):
        if type(within) is kind:
            raise InvalidArgumentError(f"{name}: {inner.name} holds a {name} already; wrap it once.")
        within = within.inner_optimizer
    if keras_private.UPDATE in vars(within) and not isinstance(inner, Wrapper):
        raise InvalidArgumentError(
            f"{name}: {inner.name} is in another wrapper; wrap that one, or a new optimizer."
        )
    return inner
