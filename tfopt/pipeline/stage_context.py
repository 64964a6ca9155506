"""The context of a stage: its data, its folder, and a `fit` that resumes where it was interrupted."""

from __future__ import annotations

import contextlib
import logging
import time
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
from tfopt.pipeline.training.full_batches import full_batches
from tfopt.pipeline.training.learning_rate import StageRate
from tfopt.pipeline.training.pause import History, TrainingPaused
from tfopt.pipeline.training.replicated import in_strategy
from tfopt.run.stage_files import FILE
from tfopt.stages.file_scheme import scheme_of_file
from tfopt.stages.teaching import FLOAT, Teacher

GoesOn = Callable[[int, History], bool]
"""Takes how many epochs are done and the logs so far; returns whether the training goes on."""

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
        """Compile `model` as the run asks and train it, resuming at the epoch where it was cut off.

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
        if found is not None and self._goes_on and not self._goes_on(first, found.history):
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
            "training %r for %d epochs of %d steps, from epoch %d",
            model.name,
            epochs,
            config.steps(1),
            first + 1,
        )

        own = [*config.new_callbacks(), *callbacks]
        recorder = _Recorder(path if self._writes else None, own, found, self._goes_on)
        validated = config.compilation.judges(model)
        written = [keras.callbacks.TensorBoard(self._logs, write_graph=False)] if self._writes else []
        if any(isinstance(each, PruningSchedule) and each.needs_single_steps(model) for each in own):
            model.steps_per_execution = 1
        mended = distribute.training(model, uneven=config.is_uneven(), steps_per_epoch=config.steps(1))
        with self._taught(model), mended:
            model.fit(
                self._batches(first, epochs),
                epochs=epochs,
                initial_epoch=first,
                steps_per_epoch=config.steps(1),
                validation_data=self.data.evaluated("validation") if validated else None,
                validation_batch_size=config.batch_size,
                callbacks=[
                    *own,
                    GradientMonitor(),
                    *written,
                    recorder,
                    self._display.callback(),
                ],
                shuffle=False,
                verbose=0,
            )
        if recorder.paused is not None:
            raise recorder.paused
        _constrain(model)
        self.earlier_seconds += 0.0 if found is None else found.seconds
        for name, values in recorder.history.items():
            self.history.setdefault(name, []).extend(values)

    @property
    def _writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self._config.group is None or self._config.group.is_chief

    def _batches(self, first: int, epochs: int) -> tf.data.Dataset:
        """Return the training batches, of which each worker takes its part."""
        batches = self.data.training_batches(
            self._config.batch_size, seed=self.seed, first_epoch=first, epochs=epochs
        )
        if self._config.drop_remainder:
            batches = full_batches(batches, self._config.batch_size)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return batches.with_options(options)

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


def _constrain(model: keras.Model) -> None:
    """Apply the constraints, where averaged weights that no constraint has seen replaced the trained ones."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if optimizer.use_ema:
        for variable in model.trainable_variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))


class _Recorder(keras.callbacks.Callback):
    """Restores the checkpoint when training begins, then keeps the history and writes a checkpoint an epoch.

    It comes after the callbacks whose state it keeps: they prepare themselves in `on_train_begin`, and
    only then can they be given the state that they had.
    """

    def __init__(
        self,
        path: Path | None,
        callbacks: Sequence[keras.callbacks.Callback],
        found: checkpoint.Checkpoint | None,
        goes_on: GoesOn | None,
    ) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.paused: TrainingPaused | None = None
        self._goes_on = goes_on
        self._path = path
        self._callbacks = callbacks
        self._found = found
        self._began = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self._began = time.monotonic()
        if self._found is not None:
            self._found.restore(self.model, self._callbacks)
            self.history = {name: list(values) for name, values in self._found.history.items()}
            self._began -= self._found.seconds

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        ended, seconds = bool(self.model.stop_training), time.monotonic() - self._began
        checkpoint.write(
            self._path,
            self.model,
            self._callbacks,
            epoch=epoch + 1,
            stopped=ended,
            seconds=seconds,
            history=self.history,
        )
        if ended or epoch + 1 == self.params["epochs"] or self._goes_on is None:
            return
        if not self._goes_on(epoch + 1, self.history):
            self.paused = TrainingPaused(self.history, seconds)
            self.model.stop_training = True
