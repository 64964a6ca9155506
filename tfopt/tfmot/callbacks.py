"""Driving tensorflow-model-optimization's pruning callback from a Keras 3 `fit`."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import tensorflow as tf

from tfopt.tfmot.library import tfmot
from tfopt.tfmot.pruning import wrappers
from tfopt.tfmot.schedules import CubicSchedule


class Pruned(Protocol):
    """A layer that runs a wrapped model, for the callback that prunes it.

    Attributes:
        module: the tf_keras model with pruning wrappers.
        strategy: where its variables live.
        driven: whether the model may train: a callback raises its sparsity, or that has reached its end.
    """

    module: Any
    strategy: tf.distribute.Strategy
    driven: bool

    def apply_masks(self) -> None:
        """Make every pruned weight zero again."""


class UpdatePruningStep(keras.callbacks.Callback):
    """Runs `tfmot.sparsity.keras.UpdatePruningStep` on the wrapped model.

    That one, given to a Keras 3 `fit` itself, finds no wrapper in the Keras 3 model and does nothing.
    `tfopt.callbacks.PruningSchedule` calls this one for models that need it.

    Args:
        pruned: the layer that runs the wrapped model.
    """

    def __init__(self, pruned: Pruned) -> None:
        super().__init__()
        self._pruned = pruned
        self._inner: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Tell the schedules how long the training is."""
        self._inner = tfmot().sparsity.keras.UpdatePruningStep()
        self._inner.set_model(self._pruned.module)
        self._inner.on_train_begin()
        steps = self.params.get("steps")
        for wrapper in self._scheduled():
            wrapper.pruning_schedule.set_total(None if steps is None else steps * self.params["epochs"])
        self._pruned.driven = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Make the pruned weights zero, which the last step has moved."""
        with self._pruned.strategy.scope():
            self._inner.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Make them zero after Keras has put averages in their place (`use_ema`); let a schedule that ends
        with the training reach its end.
        """
        self._pruned.apply_masks()
        with self._pruned.strategy.scope():
            for wrapper in self._scheduled():
                wrapper.pruning_step.assign_add(1)
                wrapper.pruning_obj.conditional_mask_update()
                wrapper.pruning_step.assign_sub(1)
        self._pruned.apply_masks()
        # What has come to its end trains by itself from now on.
        self._pruned.driven = all(
            each.pruning_schedule.ended(each.pruning_step) for each in self._scheduled()
        )

    def _scheduled(self) -> list[Any]:
        found = wrappers(self._pruned.module)
        return [wrapper for wrapper in found if isinstance(wrapper.pruning_schedule, CubicSchedule)]
