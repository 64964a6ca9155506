"""Carries out a pruning schedule during `fit`."""

from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np

from tfopt.callbacks._core.score_sums import ScoreSums
from tfopt.errors import InvalidArgumentError
from tfopt.graph import require_tensorflow
from tfopt.measure.kernels import Kernel, kernels
from tfopt.measure.zeros import share_of_zeros, table_of
from tfopt.pruning.criteria import FromGradients, criterion_of
from tfopt.pruning.masks import Masked, apply_masks, bridges, masked
from tfopt.pruning.plan import Plan
from tfopt.pruning.schedules import Schedule
from tfopt.pruning.update import magnitudes_of, move_connections, raise_sparsity

logger = logging.getLogger(__name__)


class PruningSchedule(keras.callbacks.Callback):
    """Changes the masks of a model that `tfopt.prune(model, sparsity, schedule=...)` made.

    The model itself knows how far, how fast and by which rules and criterion it is to be pruned. At each
    change the masks are set by the weights, or by what was summed of their gradients. Zeros stay zero, but
    where the schedule lets weights grow back. When the schedule has reached its end the model needs this
    callback no more.

    For a model that was pruned without a schedule it only keeps the zeros where Keras would overwrite
    them: with `use_ema=True`, when `fit` ends.

    Each epoch's `logs` get `sparsity`, the share of zeros (see `tfopt.measure.sparsity`).

    Steps are counted from epoch 0, so that a `fit` that is resumed with `initial_epoch`, on weights from
    then, continues as if it had not been interrupted. What the criteria `"taylor"` and `"movement"` have
    summed by then is lost, but in pipelines, which keep it.

    Raises:
        InvalidArgumentError: when `fit` begins: the model has not been pruned, the schedule needs the number
            of steps and `fit` does not know it, or it needs single steps and `steps_per_execution` is not 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self._steps_per_epoch: int | None = None
        self._first_of_epoch = 0
        self._done: int | None = None
        self._moments: list[list[float]] | None = None
        self._pending: list[tuple[Masked, Plan]] = []
        self._driven: list[keras.callbacks.Callback] = []
        self._kernels: list[Kernel] = []
        self._sums: ScoreSums | None = None

    @staticmethod
    def needs_single_steps(model: keras.Model) -> bool:
        """Return whether weights of a model grow back, for which `fit` has to stop after single steps."""
        plans = [entry.mask.plan for entry in masked(model)]
        return any(plan is not None and plan.schedule is not None and plan.schedule.regrows for plan in plans)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check that the model and `fit` have what the schedule needs."""
        require_tensorflow("PruningSchedule")  # a step of JAX keeps the masks it was traced with
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
        self._first_of_epoch, self._done, self._moments = 0, None, None
        for entry, plan in self._pending:
            plan.finished(0, self._total)  # raises where the number of steps is missing
            entry.mask.driven = True
        self._sums = self._needed_sums()

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
        """Change the masks when it is time, or prepare for a change after this step."""
        step = self._first_of_epoch + batch
        schedule = self._schedule
        if schedule is None:
            return
        if self._moments is None or not schedule.regrows:
            self._advance(step)
        if schedule.regrows and self._moments_at(step + 1) != self._moments:
            if schedule.grows_by_gradient:
                assert self._sums is not None
                self._sums.want()
            else:
                for entry, _ in self._pending:
                    entry.mask.value = np.ones(tuple(entry.kernel.variable.shape), bool)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Count the step; let weights grow back, before anybody looks at the model."""
        self._done = self._first_of_epoch + batch + 1
        if self._schedule is not None and self._schedule.regrows:
            self._advance(self._done)

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
        if self._sums is not None:
            self._sums.end()
            self._sums = None
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

    @property
    def _schedule(self) -> Schedule | None:
        """The schedule of the model: `tfopt.prune` gives all kernels the same one."""
        return self._pending[0][1].schedule if self._pending else None

    def _needed_sums(self) -> ScoreSums | None:
        """Return what gradients are summed in, where the schedule or the criterion needs them."""
        schedule = self._schedule
        if schedule is None:
            return None
        criterion = criterion_of(self._pending[0][1].criterion)
        by_gradients = isinstance(criterion, FromGradients) and not schedule.grows_by_gradient
        if schedule.regrows and self.model.steps_per_execution != 1:
            raise InvalidArgumentError(
                f"{type(schedule).__name__} lets weights grow back at single steps, and the model runs "
                f"{self.model.steps_per_execution} at once: compile it with steps_per_execution=1."
            )
        if not by_gradients and not schedule.grows_by_gradient:
            return None
        summed = criterion if by_gradients and isinstance(criterion, FromGradients) else None
        return ScoreSums(self, [entry for entry, _ in self._pending], summed)

    def _moments_at(self, step: int) -> list[list[float]]:
        return [list(plan.moment(step, self._total)) for _, plan in self._pending]

    def _advance(self, step: int) -> None:
        schedule, moments = self._schedule, self._moments_at(step)
        if schedule is None or moments == self._moments:
            return
        levels = [level for level, _ in moments]
        if self._moments is None:
            # Of a training that is resumed from weights alone, the zeros tell what the masks were.
            magnitudes = magnitudes_of(self._pending)
            raise_sparsity(self._pending, levels, scores=magnitudes, anew=schedule.regrows)
        elif schedule.grows_by_gradient:
            assert self._sums is not None
            if self._sums.empty:  # no update was made: gradients are accumulated, or were not finite
                return
            move_connections(self._pending, step, self._total)
        else:
            raise_sparsity(self._pending, levels, anew=schedule.regrows)
        if self._sums is not None and (schedule.grows_by_gradient or self._restarts):
            self._sums.restart()
        self._moments = moments
        at = ", ".join(f"{level:.4g}" for level in sorted({*levels}))
        what = "masks chosen anew at a sparsity of" if schedule.regrows else "sparsity raised to"
        logger.debug("Step %d: %s %s", step, what, at)

    @property
    def _restarts(self) -> bool:
        criterion = criterion_of(self._pending[0][1].criterion)
        return isinstance(criterion, FromGradients) and criterion.restarts

    def _let_go(self) -> None:
        """Take the plan from the masks that have reached their end: they train by themselves now."""
        for entry, plan in self._pending:
            if self._done is not None and plan.finished(self._done, self._total) and entry.mask.plan:
                entry.mask.plan = None
                logger.info("%s has its final sparsity of %g", entry.kernel.path, plan.sparsity)
