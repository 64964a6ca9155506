"""Reaching the gradients of a running `fit`: after they are summed over replicas, before they are applied.

There is no public way: `apply` sees the gradients of one replica and one batch, still with the loss scale,
and a callback sees none. So a hook hides the private method that updates (`keras_private.UPDATE_STEP`), which
is called with exactly those that are to be applied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.clipping.gradients import Gradient, sum_duplicates, sums_of_squares
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.optimizers._core import keras_private, replicated_accumulation
from tfopt.optimizers._core.base import Optimizer

_PRIVATE = (*keras_private.FOR_UPDATES, *keras_private.FOR_ACCUMULATION)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Update:
    """One update of one optimizer, while the training step is traced.

    Attributes:
        optimizer: the optimizer whose rule it is.
        index: its place among the optimizers of the model.
        variables: what is to be updated.
        gradients: of these, before all transforms.
        squares: the sum of squares of each of them.
        norm: the norm of all of them; not finite where an entry is not.
        finite: whether all gradients are finite.
        learning_rate: the rate of this update.
        metrics: what transforms report to observers.
    """

    optimizer: keras.optimizers.Optimizer
    index: int
    variables: Sequence
    gradients: list[Gradient]
    squares: tf.Tensor
    norm: tf.Tensor
    finite: tf.Tensor
    learning_rate: Any
    metrics: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


Transform = Callable[[Update, list[Gradient]], list[Gradient]]
Observer = Callable[[Update, list[Gradient]], Callable[[], None] | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
    """What one callback does with an update, traced into the training step in replica context.

    Attributes:
        owner: the callback.
        transform: (update, gradients) -> gradients; an update whose norm is not finite is then skipped.
        observe: (update, gradients after all transforms) -> what to do when it has been applied, if anything.
    """

    owner: keras.callbacks.Callback
    transform: Transform | None = None
    observe: Observer | None = None


class UpdateHook:
    """Takes the place of the method that updates in one optimizer, and runs the links of one `fit`."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, index: int, scaler: Any, fit: Any) -> None:
        self.optimizer = optimizer
        self.index = index
        self.scaler = scaler
        self.fit = fit
        self.links: list[Link] = []
        # tfopt's optimizers, and any in a wrapper of tfopt's, accumulate over replicas by themselves.
        own = isinstance(optimizer, Optimizer) or keras_private.APPLY in vars(optimizer)
        self.accumulates = not own

    @property
    def transforms(self) -> list[Transform]:
        """The changes to the gradients, in the order of the callbacks."""
        return [link.transform for link in self.links if link.transform]

    def __call__(self, gradients: Sequence[Gradient], variables: Sequence, learning_rate: Any) -> None:
        """Apply one update: sum over replicas, transform, observe, hand to the optimizer's rule."""
        targets = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        reduced = keras_private.summed_over_replicas(
            self.optimizer, list(zip(gradients, targets, strict=True))
        )
        # Two replicas can hold slices of the same row, so this comes after the sum.
        before = after = [sum_duplicates(gradient) for gradient, _ in reduced]
        squares = sums_of_squares(before)
        norm = tf.sqrt(tf.reduce_sum(squares))
        update = Update(
            optimizer=self.optimizer,
            index=self.index,
            variables=variables,
            gradients=before,
            squares=squares,
            norm=norm,
            finite=tf.math.is_finite(norm),
            learning_rate=learning_rate,
        )
        for transform in self.transforms:
            after = transform(update, after)
        finish = [link.observe(update, after) for link in self.links if link.observe]
        keras_private.update_nothing(self.optimizer, learning_rate)
        keras_private.merged(
            tf.distribute.get_strategy(),
            self._update if self.transforms else self._update_always,
            list(zip(after, targets, strict=True)),
            learning_rate,
            update.finite,
        )
        for last in finish:
            if last is not None:
                last()

    def _update_always(self, strategy: Any, pairs: list, learning_rate: Any, _: Any) -> None:
        keras_private.update_summed(self.optimizer, strategy, pairs, learning_rate)

    def _update(self, strategy: Any, pairs: list, learning_rate: Any, finite: Any) -> None:
        # The gradients are the same on all replicas by now, so the first one speaks for all.
        finite = strategy.experimental_local_results(finite)[0]
        tf.cond(
            finite,
            lambda: keras_private.update_summed(self.optimizer, strategy, pairs, learning_rate),
            self._skip,
        )

    def _skip(self) -> None:
        """Leave everything as it was, but for the loss scale."""
        keras_private.uncount(self.optimizer)
        if self.scaler is not None:
            # It looks at the first replica only, and would keep a scale at which another one overflows.
            self.scaler.step_counter.assign(0)
            self.scaler.dynamic_scale.assign(self.scaler.dynamic_scale * 0.5)


def innermost_optimizers(optimizer: keras.optimizers.Optimizer) -> Iterator[keras.optimizers.Optimizer]:
    """Yield the optimizers that update variables: itself, or those in a wrapper or MultiOptimizer."""
    inner = getattr(optimizer, "inner_optimizer", None)
    several = getattr(optimizer, "optimizers", None)
    if inner is not None:
        yield from innermost_optimizers(inner)
    elif several is not None:
        for each in several:
            yield from innermost_optimizers(each)
    else:
        yield optimizer


def scaler_of(model: keras.Model) -> keras.optimizers.LossScaleOptimizer | None:
    """Return the optimizer that scales the loss of `model`, or `None`; Keras puts it around all others."""
    optimizer = model.optimizer
    return optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else None


def require_optimizer(owner: keras.callbacks.Callback) -> None:
    """Raise `InvalidArgumentError` where the model of `owner` is not compiled with an optimizer."""
    if getattr(owner.model, "optimizer", None) is None:
        raise InvalidArgumentError(
            f"{type(owner).__name__} needs a model with an optimizer: call model.compile(optimizer=...)."
        )


def optimizers_of(owner: keras.callbacks.Callback) -> list[keras.optimizers.Optimizer]:
    """Return the optimizers that update variables of the model of `owner`, built where the model is.

    Raises:
        InvalidArgumentError: the model is not compiled with an optimizer, or not built and with several.
    """
    require_optimizer(owner)
    model = owner.model
    if model.built and not model.optimizer.built:
        # A MultiOptimizer does not know its optimizers before.
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
    found = list(innermost_optimizers(model.optimizer))
    if not found:
        raise InvalidArgumentError(
            f"{type(owner).__name__} cannot see into the MultiOptimizer of a model that is not built: call "
            "the model on a batch before fit()."
        )
    return found


def attach(link: Link) -> list[UpdateHook]:
    """Let `link` take part in the training of its owner's model; call it in `on_train_begin`.

    Raises:
        InvalidArgumentError: the model is not compiled with an optimizer, or not built and with several.
        UnsupportedModel: the optimizer lacks the methods that Keras 3.15's have.
    """
    model, fit = link.owner.model, link.owner.params
    found = optimizers_of(link.owner)
    scaler = scaler_of(model)
    hooks = [_hook(optimizer, i, scaler, fit) for i, optimizer in enumerate(found)]
    for hook in hooks:
        hook.links = [*(other for other in hook.links if other.owner is not link.owner), link]
    retrace(model)
    return hooks


def detach(owner: keras.callbacks.Callback) -> None:
    """Undo `attach` for the links of `owner`; call it in `on_train_end`."""
    for optimizer in innermost_optimizers(owner.model.optimizer):
        hook = vars(optimizer).get(keras_private.UPDATE_STEP)
        if hook is None:
            continue
        hook.links = [link for link in hook.links if link.owner is not owner]
        if not hook.links:
            del vars(optimizer)[keras_private.UPDATE_STEP]
            if hook.accumulates:
                del vars(optimizer)[keras_private.APPLY]
    retrace(owner.model)


def retrace(model: keras.Model) -> None:
    """Drop the compiled training step, which holds the update as it was when it was traced."""
    model.make_train_function(force=True)


def _hook(optimizer: keras.optimizers.Optimizer, index: int, scaler: Any, fit: Any) -> UpdateHook:
    missing = [name for name in _PRIVATE if not hasattr(optimizer, name)]
    if missing:
        raise UnsupportedModel(
            f"{type(optimizer).__name__} has no {', '.join(missing)}: tfopt reaches gradients through these "
            f"methods of Keras 3.15 on TensorFlow (this is Keras {keras.__version__})."
        )
    hook = vars(optimizer).get(keras_private.UPDATE_STEP)
    # All callbacks of one fit() share their `params`. Others are left over from a fit() that an error or a
    # Ctrl-C ended before on_train_end.
    if hook is None or hook.fit is not fit:
        left, hook = hook, UpdateHook(optimizer, index, scaler, fit)
        hook.accumulates = hook.accumulates or (left is not None and left.accumulates)
        vars(optimizer)[keras_private.UPDATE_STEP] = hook
        if hook.accumulates:
            replicated_accumulation.stand_in(optimizer)
    return hook
