"""Carries out a pruning schedule during `fit`."""

from __future__ import annotations

import logging
from typing import Any

import keras

from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import Kernel, kernels
from tfopt.measure.zeros import share_of_zeros, table_of
from tfopt.pruning.masks import Masked, apply_masks, bridges, masked, raise_sparsity
from tfopt.pruning.plan import Plan

logger = logging.getLogger(__name__)


class PruningSchedule(keras.callbacks.Callback):
    """Raises the sparsity of a model that `tfopt.prune(model, sparsity, schedule=...)` made.

    The model itself knows how far, how fast and by which rules it is to be pruned. At each rise the
    masks are set by the magnitudes of the weights as they then are; zeros stay zero. When the schedule
    has reached its end the model needs this callback no more.

    For a model that was pruned without a schedule it only keeps the zeros where Keras would overwrite
    them: with `use_ema=True`, when `fit` ends.

    Each epoch's `logs` get `sparsity`, the share of zeros (see `tfopt.measure.sparsity`).

    Steps are counted from epoch 0, so that a `fit` that is resumed with `initial_epoch`, on weights from
    then, continues as if it had not been interrupted.

    Raises:
        InvalidArgumentError: when `fit` begins: the model has not been pruned, or the schedule needs
            the number of steps and `fit` does not know it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._steps_per_epoch: int | None = None
        self._first_of_epoch = 0
        self._done: int | None = None
        self._levels: list[float] | None = None
        self._pending: list[tuple[Masked, Plan]] = []
        self._driven: list[keras.callbacks.Callback] = []
        self._kernels: list[Kernel] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check that the model and `fit` have what the schedule needs."""
        entries = masked(self.model)
        self._kernels = [kernel for kernel in kernels(self.model) if kernel.multiplied]
        self._driven = [each for layer in bridges(self.model) if (each := layer.pruning_callback())]
        for callback in self._driven:
            callback.set_params(self.params)
            callback.set_model(self.model)
            callback.on_train_begin(logs)
        if not entries and not self._driven:
            raise InvalidArgumentError(
                "PruningSchedule found no pruned kernel in the model: make it with "
                "model = tfopt.prune(model, sparsity, schedule=tfopt.pruning.Cubic()) and compile that."
            )
        self._pending = [(entry, entry.mask.plan) for entry in entries if entry.mask.plan is not None]
        self._steps_per_epoch = self.params.get("steps")
        self._first_of_epoch, self._done, self._levels = 0, None, None
        for entry, plan in self._pending:
            plan.finished(0, self._total)  # raises where the number of steps is missing
            entry.mask.driven = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Find the step that the epoch starts from."""
        if self._steps_per_epoch is not None:
            self._first_of_epoch = epoch * self._steps_per_epoch
        elif self._done is None and epoch > 0 and self._pending:
            raise InvalidArgumentError(
                f"PruningSchedule cannot tell at which step epoch {epoch} starts, for fit does not know the "
                "steps of an epoch: pass steps_per_epoch."
            )
        else:
            self._first_of_epoch = self._done or 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Raise the sparsity when it is time."""
        self._advance(self._first_of_epoch + batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Count the step."""
        self._done = self._first_of_epoch + batch + 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report the sparsity that the epoch ended with."""
        for callback in self._driven:
            callback.on_epoch_end(epoch, logs)
        if logs is not None:
            logs["sparsity"] = share_of_zeros(table_of(self._kernels))
        self._let_go()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Make the zeros zero again, and let go of what is finished."""
        apply_masks(self.model)  # first, for averages (use_ema) would mislead the magnitudes
        for callback in self._driven:
            callback.on_train_end(logs)
        # No step was made where a fit is resumed that had only to end.
        if self._done is None:
            self._done = self._total
        if self._done is not None:
            self._advance(self._done)
        self._let_go()
        for entry, _ in self._pending:
            entry.mask.driven = False
        if any(entry.mask.plan is not None for entry, _ in self._pending):
            # A later fit without this callback is to notice, hence trace its step anew.
            self.model.train_function = None

    @property
    def _total(self) -> int | None:
        if self._steps_per_epoch is None:
            return None
        return self._steps_per_epoch * self.params["epochs"]

    def _advance(self, step: int) -> None:
        levels = [plan.sparsity_at(step, self._total) for _, plan in self._pending]
        if levels != self._levels:
            raise_sparsity(self._pending, levels)
            self._levels = levels
            raised = ", ".join(f"{level:.4g}" for level in sorted({*levels}))
            logger.debug("Step %d: sparsity raised to %s", step, raised)

    def _let_go(self) -> None:
        """Take the plan from the masks that have reached their end: they train by themselves now."""
        for entry, plan in self._pending:
            if self._done is not None and plan.finished(self._done, self._total) and entry.mask.plan:
                entry.mask.plan = None
                logger.info("%s has its final sparsity of %g", entry.kernel.path, plan.sparsity)
