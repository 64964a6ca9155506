"""The context of a stage: its data, its folder, and a `fit` that resumes where it was interrupted."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfopt import distribute, graph
from tfopt.callbacks import GradientMonitor, PruningSchedule
from tfopt.distillation import distilling
from tfopt.errors import RunError
from tfopt.export import TFLiteModel
from tfopt.files import write_atomically
from tfopt.pipeline import fingerprint, model_file
from tfopt.pipeline.progress import Display
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.training import checkpoint
from tfopt.pipeline.training.compilation import AS_COMPILED
from tfopt.pipeline.training.data_wait import DataWait
from tfopt.pipeline.training.epoch_start import starting_at
from tfopt.pipeline.training.full_batches import full_batches
from tfopt.pipeline.training.learning_rate import StageRate
from tfopt.pipeline.training.pause import TrainingPaused
from tfopt.pipeline.training.recorder import GoesOn, Recorder
from tfopt.pipeline.training.replicated import in_strategy
from tfopt.run.stage_files import FILE
from tfopt.stages.file_scheme import scheme_of_file
from tfopt.stages.teaching import FLOAT, Teacher

logger = logging.getLogger(__name__)


class StageContext:
    """The `tfopt.stages.Context` of one stage of one run.

    Args:
        config: of the run.
        seed: of this stage.
        directory: the stage's folder.
        logs: the folder for TensorBoard.
        display: shows the progress.
        rate: what the stage does to the compiled learning rate.
        epochs: how many the stage says that it trains.
        optimizer: the one that was made for a training of so many; `None` for a new one.
        teacher: whom the stage's trainings learn from; `None` for nobody.
        float_model: the file of the model before anything was taken from it.
        goes_on: asked after each epoch, and by a training that resumes; `None` where it always does.
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        seed: int,
        directory: Path,
        logs: Path,
        display: Display,
        rate: StageRate = AS_COMPILED,
        epochs: int = 0,
        optimizer: keras.optimizers.Optimizer | None = None,
        teacher: Teacher | None = None,
        float_model: Path | None = None,
        goes_on: GoesOn | None = None,
    ) -> None:
        self.data = config.data
        self.loss = config.compilation.loss()
        self.scheme = scheme_of_file(config.stages)
        self.seed = seed
        self.directory = directory
        self.record: dict[str, Any] = {}
        self.history: dict[str, list[float]] = {}
        self.earlier_seconds = 0.0
        """How long was trained before the run was cut off."""
        self.exported: Path | None = None
        """The file that the stage makes in place of a model, if it does."""
        self._config = config
        self._logs = logs
        self._display = display
        self._rate = rate
        self._optimizer = optimizer
        self._epochs = epochs
        self._teacher = teacher
        self._float_model = float_model
        self._goes_on = goes_on
        self._checkpoints: list[Path] = []

    def fit(
        self,
        model: keras.Model,
        *,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        """Compile `model` as the run asks and train it, resuming where it was cut off.

        Args:
            model: the model to train, made in the scope of the run's strategy.
            epochs: how many, from the start of the stage.
            callbacks: the stage's own; they come after the user's and before the run's.
        """
        config = self._config
        path = self.directory / checkpoint.PATTERN.replace("*", str(len(self._checkpoints) + 1))
        self._checkpoints.append(path)
        found = self._checkpoint(path)
        first = 0 if found is None else epochs if found.stopped else found.epoch
        if found is not None and first and self._goes_on and not self._goes_on(first, found.history):
            raise TrainingPaused(found.history, found.seconds)
        graph.fuse_in_place(model)  # which a model loses in its file
        with in_strategy(model, config.strategy, config.group, fingerprint.structure) as trained:
            self._fit(trained, path, found, first, epochs, callbacks)

    def _fit(
        self,
        model: keras.Model,
        path: Path,
        found: checkpoint.Checkpoint | None,
        first: int,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Train a model that is in the strategy of the run, from a checkpoint if there is one.

        Args:
            model: the model.
            path: of the checkpoint.
            found: what is there.
            first: the epoch to begin with, from 0.
            epochs, callbacks: as in `fit`.
        """
        config = self._config
        with config.strategy.scope():
            rates = config.compilation.compile(
                model, config.steps(epochs), self._rate, self._optimizer_for(epochs)
            )
        if rates is not None:
            self.record["learning_rate"] = rates.to_json()

        logger.debug(
            "training %r for %d epochs of %d steps, from epoch %d, step %d",
            model.name,
            epochs,
            config.steps(1),
            first + 1,
            0 if found is None else found.step,
        )

        own = [*config.new_callbacks(), *callbacks]
        monitor, wait = GradientMonitor(), DataWait()
        recorder = Recorder(
            path if self._writes else None, own, monitor, found, self._goes_on, self._checkpoint_steps()
        )
        step = 0 if found is None or found.stopped else found.step
        validated = config.compilation.judges(model)
        written = [keras.callbacks.TensorBoard(self._logs, write_graph=False)] if self._writes else []
        if any(isinstance(each, PruningSchedule) and each.needs_single_steps(model) for each in own):
            model.steps_per_execution = 1
        mended = distribute.training(
            model, uneven=config.is_uneven(), steps_per_epoch=config.steps(1), first_step=step
        )
        with self._taught(model), mended, starting_at(model, step):
            # Under a strategy `fit` looks at a batch first, also where all epochs are done.
            batches = self._batches(min(first, epochs - 1), epochs, step)
            model.fit(
                wait.timed(batches) if config.strategy.num_replicas_in_sync == 1 else batches,
                epochs=epochs,
                initial_epoch=first,
                steps_per_epoch=config.steps(1),
                validation_data=self._validation() if validated else None,
                validation_batch_size=config.batch_size,
                callbacks=[
                    *own,
                    monitor,
                    *written,
                    recorder,
                    self._display.callback(),
                    wait,
                ],
                shuffle=False,
                verbose=0,
            )
        if wait.share is not None:
            self.record["data_wait"] = wait.share
        if recorder.paused is not None:
            raise recorder.paused
        _constrain(model)
        self.earlier_seconds += 0.0 if found is None else found.seconds
        for name, values in recorder.history.items():
            self.history.setdefault(name, []).extend(values)

    def _checkpoint_steps(self) -> int | None:
        """Return after how many steps a checkpoint is written: as the chief says, all processes take part."""
        return int(self.once(lambda: str(self._config.checkpoint_steps or 0))) or None

    @property
    def _writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self._config.group is None or self._config.group.is_chief

    def _validation(self) -> Any:
        """Return what to validate on: arrays, or batches of samples that are read as they are needed."""
        batches = self.data.evaluated_batches("validation", self._config.batch_size)
        return self.data.evaluated("validation") if batches is None else _sharded(batches)

    def _batches(self, first: int, epochs: int, step: int) -> tf.data.Dataset:
        """Return the training batches, of which each worker takes its part."""
        batches = self.data.training_batches(
            self._config.batch_size, seed=self.seed, first_epoch=first, epochs=epochs, first_step=step
        )
        if self._config.drop_remainder:
            batches = full_batches(batches, self._config.batch_size)
        return _sharded(batches)

    def once(self, make: Callable[[], str]) -> str:
        """Return what `make` returns, made once for all processes; see `tfopt.stages.Context`."""
        group = self._config.group
        if group is None:
            return make()
        return group.broadcast(make() if group.is_chief else None)[0]

    def teacher(self, model: str = FLOAT) -> keras.Model:
        """Return the model before anything was taken from it, or that of a file."""
        path = Path(model) if model != FLOAT else self._float_model
        if path is None:
            raise RunError("This run has no float model to learn from: give the path of a .keras file.")
        with self._config.scope():
            return model_file.load(path)

    def _taught(self, model: keras.Model) -> contextlib.AbstractContextManager[None]:
        """Return the context in which `model` learns from the stage's teacher, if it has one."""
        settings = self._teacher
        if settings is None:
            return contextlib.nullcontext()
        with self._config.strategy.scope():
            teacher = self.teacher(settings.model)
        return distilling(
            model,
            teacher,
            temperature=settings.temperature,
            student_weight=settings.student_weight,
            outputs=settings.outputs,
        )

    def _optimizer_for(self, epochs: int) -> keras.optimizers.Optimizer | None:
        """Return the optimizer that was made for the stage, once, if it trains as long as it said."""
        optimizer, self._optimizer = self._optimizer, None
        if optimizer is None or epochs != self._epochs:
            return None
        if self._config.group is None:
            return optimizer
        return type(optimizer).from_config(optimizer.get_config())  # that one was made in one process

    def _checkpoint(self, path: Path) -> checkpoint.Checkpoint | None:
        """Return the checkpoint at `path`; `None`, with a warning, where it is damaged."""
        try:
            return checkpoint.Checkpoint.read(path)
        except RunError as error:
            self._display.warn(f"{error} It is deleted, and this training begins at its first epoch.")
            path.unlink(missing_ok=True)
            return None

    def export(self, file: TFLiteModel | bytes) -> Path:
        """Write a TFLite file as what the stage makes; see `tfopt.stages.Context`."""
        self.exported = self.directory / FILE
        write_atomically(self.exported, bytes(file))
        return self.exported

    def compile_for_evaluation(self, model: keras.Model) -> None:
        """Compile `model` with the loss and metrics of the run, and no optimizer."""
        with self._config.scope():
            self._config.compilation.compile_for_evaluation(model)

    def forget_checkpoints(self) -> None:
        """Delete the checkpoints, when the stage's model is safe."""
        for path in self._checkpoints:
            path.unlink(missing_ok=True)


def _sharded(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return batches of which each worker takes its part."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def _constrain(model: keras.Model) -> None:
    """Apply the constraints, where averaged weights that no constraint has seen replaced the trained ones."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if optimizer.use_ema:
        for variable in model.trainable_variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
