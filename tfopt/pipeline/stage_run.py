"""Doing one stage: its model is made, checked against what earlier stages made, saved and measured."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from tfopt import graph, measure
from tfopt.data.streaming.read_errors import unwrapped
from tfopt.errors import InvalidArgumentError
from tfopt.export import TFLiteModel, to_tflite
from tfopt.files import replacing, write_atomically
from tfopt.measure.arithmetic import known_macs
from tfopt.pipeline import model_file
from tfopt.pipeline.progress import Display
from tfopt.pipeline.results import stage_results
from tfopt.pipeline.run_plan import PlannedStage, RunPlan
from tfopt.pipeline.stage_context import GoesOn, StageContext
from tfopt.pipeline.training.learning_rate import StageRate
from tfopt.pipeline.training.pause import TrainingPaused
from tfopt.pruning.masks import put_masks, unsaved_masks
from tfopt.run import stage_files
from tfopt.run.stage_files import FILE
from tfopt.run.stage_record import StageRecord
from tfopt.stages.teaching import teacher_of

_MEASURED = "measured.tflite"


class StageRun:
    """A stage while it is carried out.

    Args:
        plan: of the run.
        planned: the stage.
        path: the folder of the run.
        first_file: the float32 file of the first stage; empty where this is it.
        rate: what the stage does to the compiled learning rate.
        float_model: the file of the model before anything was taken from it.
        display: shows the progress.
        goes_on: see `StageContext`.
    """

    def __init__(
        self,
        *,
        plan: RunPlan,
        planned: PlannedStage,
        path: Path,
        first_file: bytes,
        rate: StageRate,
        float_model: Path,
        display: Display,
        goes_on: GoesOn | None = None,
    ) -> None:
        self._plan = plan
        # What trains nothing is done by the chief of several processes alone.
        self._config = plan.config if planned.epochs else plan.config.alone()
        self._planned = planned
        self._path = path
        self._directory = path / planned.folder
        self._first_file = first_file
        self._display = display
        self._context = StageContext(
            self._config,
            seed=plan.stage_seed(planned.number),
            directory=self._directory,
            logs=path / "logs" / self._directory.name,
            display=display,
            rate=rate,
            epochs=planned.epochs,
            optimizer=plan.optimizers.pop(planned.number, None),
            teacher=teacher_of(planned.stage),
            float_model=float_model,
            goes_on=goes_on,
        )

    @unwrapped()
    def run(self, source: Path, earlier: Sequence[PlannedStage]) -> StageRecord:
        """Do the stage and return its record.

        Args:
            source: the file of the model that it takes.
            earlier: the stages before it, whose work must not be undone.

        Raises:
            InvariantError: the stage undid what an earlier one had made.
            InvalidArgumentError: it returned no model, or recorded a value of the wrong type.
            TfoptError: whatever the stage itself raises.
        """
        began = time.monotonic()
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / FILE).unlink(missing_ok=True)
        model = self._applied(source)
        self._display.note("measuring")
        if self._context.exported is not None:
            _check(earlier, source, model)
            stage = self._with_file(self._recorded(), model, self._context.exported)
        else:
            model = self._saved(model, source, earlier)
            stage = self._with_model(self._recorded(), model)
        shapes = graph.shapes_of(model, self._config.data)
        return dataclasses.replace(
            stage,
            status="complete",
            macs=known_macs(graph.with_input_shapes(model, shapes)),
            params=None if graph.is_quantized(model) else model.count_params(),
            history={name: tuple(values) for name, values in self._context.history.items()},
            files=stage_files.described(self._path, _files(stage)),
            seconds=time.monotonic() - began + self._context.earlier_seconds,
        )

    @unwrapped()
    def take_part(self, source: Path) -> None:
        """Do what a worker does of a stage: make its model and train it with the others; the chief keeps "
        "it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._applied(source)

    def failed(self) -> StageRecord:
        """Return the record of the stage after `run` raised, with what the stage had to say."""
        stage = self._planned.pending()
        with contextlib.suppress(InvalidArgumentError):
            stage = self._recorded()
        return dataclasses.replace(stage, status="failed")

    def stopped(self, paused: TrainingPaused) -> StageRecord:
        """Return the record of the stage after its training was paused."""
        return dataclasses.replace(
            self._recorded(),
            status="stopped",
            history={name: tuple(values) for name, values in paused.history.items()},
            seconds=paused.seconds,
        )

    def forget_checkpoints(self) -> None:
        """Delete the checkpoints, when the stage is recorded."""
        self._context.forget_checkpoints()

    def _applied(self, source: Path) -> keras.Model:
        """Return what the stage makes of the model in the file `source`."""
        # From the file and this seed on, a stage depends on nothing that the process did before, so
        # that one which is resumed cannot differ.
        keras.utils.set_random_seed(self._context.seed)
        with self._config.scope():
            model = model_file.load(source)
        made = self._planned.stage.apply(model, self._context)
        if not isinstance(made, keras.Model):
            kind = type(self._planned.stage).__name__
            raise InvalidArgumentError(f"{kind}.apply must return a keras.Model, got {made!r}.")
        return made

    def _recorded(self) -> StageRecord:
        """Return the record of the stage with what it put into `context.record`."""
        said: dict[str, Any] = self._context.record
        try:
            return StageRecord.from_json({**self._planned.pending().to_json(), **said})
        except ValueError as error:
            kind = type(self._planned.stage).__name__
            raise InvalidArgumentError(
                f"{kind}.apply put a value of the wrong type into context.record: {error}. Give it another "
                "name: this one is of tfopt."
            ) from error

    def _saved(self, model: keras.Model, source: Path, earlier: Sequence[PlannedStage]) -> keras.Model:
        """Save a model, and return it as its file holds it, checked."""
        path, masks = self._directory / model_file.NAME, unsaved_masks(model)
        with replacing(path) as temporary:
            graph.copy(model).save(temporary)
            # What is checked and measured is what the file holds.
            model = keras.saving.load_model(temporary, compile=False)
            put_masks(model, masks)
            _check(earlier, source, model)
        model_file.write_masks(path, masks)
        return model

    def _with_model(self, stage: StageRecord, model: keras.Model) -> StageRecord:
        """Return a record with the measures of a Keras model and of the same model as a float32 file."""
        shapes = graph.shapes_of(model, self._config.data)
        content = bytes(to_tflite(model, scheme="float32", input_shapes=shapes))
        # What the stage itself has written is not to be lost.
        name = _MEASURED if (self._directory / FILE).exists() else FILE
        write_atomically(self._directory / name, content)
        return self._measured(
            dataclasses.replace(
                stage,
                model=f"{self._planned.folder}/{model_file.NAME}",
                file=f"{self._planned.folder}/{name}",
                sparsity=measure.sparsity(model),
            ),
            stage_results.of_model(model, self._config),
            content,
        )

    def _with_file(self, stage: StageRecord, model: keras.Model, path: Path) -> StageRecord:
        """Return a record with the measures of an exported file; `model` is the one that it was made from."""
        file = TFLiteModel(path)
        return self._measured(
            dataclasses.replace(
                stage,
                model=None,
                file=f"{self._planned.folder}/{path.name}",
                sparsity=file.summary().sparsity,
                contract=stage_results.contract(file, self._config.data),
            ),
            stage_results.of_file(file, model, self._config),
            bytes(file),
        )

    def _measured(self, stage: StageRecord, quality: stage_results.Quality, content: bytes) -> StageRecord:
        cost = stage_results.of_bytes(content, self._first_file or content)
        return dataclasses.replace(
            stage,
            metrics=quality.metrics,
            validation=quality.validation,
            classes=quality.classes,
            at_chance=quality.at_chance,
            bytes=cost.bytes,
            compressed_bytes=cost.compressed_bytes,
            weights=cost.weights,
            latency=cost.latency,
        )


def _files(stage: StageRecord) -> list[str]:
    """Return the names of the files of a stage, relative to the run's folder."""
    masks = [os.fspath(model_file.masks_of(Path(stage.model)))] if stage.model else []
    return [name for name in (stage.model, stage.file, *masks) if name]


def _check(earlier: Sequence[PlannedStage], source: Path, after: keras.Model) -> None:
    """Check that what the earlier stages made is still there."""
    if earlier:
        before = model_file.load(source)
        for planned in earlier:
            planned.stage.check(before, after)
