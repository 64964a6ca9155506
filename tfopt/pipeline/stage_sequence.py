"""The stages of a run in their order: each from the file of the one before, done, taken or already there."""

from __future__ import annotations

import dataclasses
import functools
import logging
from pathlib import Path

from tfopt import graph
from tfopt.export import to_tflite
from tfopt.export.runtime.findings import CUT_OFF_KIND
from tfopt.files import write_atomically
from tfopt.measure.arithmetic import known_macs
from tfopt.pipeline import model_file
from tfopt.pipeline.following import announce
from tfopt.pipeline.progress import Display
from tfopt.pipeline.results.judging import chance_warning
from tfopt.pipeline.run_plan import AsGiven, PlannedStage, RunPlan
from tfopt.pipeline.sharing.stages import SharedStages
from tfopt.pipeline.stage_run import StageRun
from tfopt.pipeline.training import checkpoint
from tfopt.pipeline.training.learning_rate import StageRate
from tfopt.pipeline.training.pause import Gate, History, Progress, TrainingPaused
from tfopt.run import run_folder, stage_files
from tfopt.run.environment import now
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_files import FILE, LABELS
from tfopt.run.stage_record import StageRecord
from tfopt.stages.train import Train

logger = logging.getLogger(__name__)


class StageSequence:
    """A run while its stages are carried out.

    Args:
        plan: of the run.
        path: its folder.
        shared: the stages that it shares with other runs.
        display: shows the progress.
        gate: asked whether the run goes on, where it begins with a `Train`; `None` where it always does.

    Attributes:
        record: of the run, to be set before `run`; up to date whenever that ends or raises.
    """

    record: RunRecord

    def __init__(
        self, plan: RunPlan, path: Path, shared: SharedStages, display: Display, gate: Gate | None
    ) -> None:
        self.plan = plan
        self.path = path
        self.shared = shared
        self.display = display
        self.gate = gate if isinstance(plan.stages[0].stage, Train) else None
        self.first_file = b""
        """The float32 file of the first stage: what latencies are compared with."""

    def run(self) -> None:
        """Do the stages that are not done, then write what belongs to the whole."""
        start = self.path / "stages" / f".start-{model_file.NAME}"
        model_file.save(self.plan.model, start)
        source, earlier, redo = start, list[PlannedStage](), False
        for index, planned in enumerate(self.plan.stages):
            if not redo and not self._is_done(self.record.stages[index]):
                # What comes after a stage that is made again rests on it, and is made again too.
                self._reset_from(planned)
                redo = True
            if redo and not self._took(planned):
                self._run_stage(planned, source, earlier)
            stage = self.record.stages[index]
            if index == 0 and not self._goes_on(planned.epochs, stage.history or {}):
                raise TrainingPaused(stage.history or {}, stage.seconds)
            if stage.model:
                source = self.path / stage.model
            self.first_file = self.first_file or (self.path / str(stage.file)).read_bytes()
            earlier.append(planned)
        self._finish()
        model_file.delete(start)

    def _is_done(self, stage: StageRecord) -> bool:
        """Return whether a stage is complete, with a file restored that can be had without training."""
        if not stage.is_complete:
            return False
        names = stage_files.damaged(self.path, stage, thorough=True)
        if names == [stage.file] and self._restored(stage):
            self.display.say(f"{stage.file} was missing or changed and is restored.")
        elif names:
            self.display.say(
                f"Missing or changed: {', '.join(names)}. The stage {stage.name} and those after it are "
                "repeated."
            )
            return False
        logger.info("stage %d %s: reused", stage.number, stage.name)
        return True

    def _restored(self, stage: StageRecord) -> bool:
        """Write the TFLite file of a stage again: from its model, or from what the run ships."""
        file = self.path / str(stage.file)
        if stage.model:
            model = model_file.load(self.path / stage.model)
            shapes = graph.shapes_of(model, self.plan.config.data)
            write_atomically(file, bytes(to_tflite(model, scheme="float32", input_shapes=shapes)))
            files = stage_files.described(self.path, [*(stage.files or ()), str(stage.file)])
            self.record = self.record.with_stage(dataclasses.replace(stage, files=files))
            return True
        if stage_files.shipped_is_damaged(self.path, stage, thorough=True):
            return False
        write_atomically(file, (self.path / FILE).read_bytes())
        return True

    def _reset_from(self, first: PlannedStage) -> None:
        """Forget what is known of a stage and of those after it."""
        for planned in self.plan.stages:
            if planned.number >= first.number:
                self.record = self.record.with_stage(planned.pending())

    def _goes_on(self, epochs: int, history: History) -> bool:
        """Return whether the run is to go on when so many epochs of its first stage are done."""
        if self.gate is None:
            return True
        stages = self.plan.stages
        return self.gate(
            Progress(
                run=self.path.name,
                epochs=epochs,
                stage_epochs=stages[0].epochs,
                run_epochs=sum(planned.epochs for planned in stages),
                history=history,
                parameters=self.plan.model.count_params(),
                macs=self.macs,
            )
        )

    @functools.cached_property
    def macs(self) -> int | None:
        """Of the model that the run begins with."""
        model = self.plan.model
        return known_macs(graph.with_input_shapes(model, graph.shapes_of(model, self.plan.config.data)))

    def _took(self, planned: PlannedStage) -> bool:
        """Take a stage from another run that has done it; return whether there was one."""
        stage = self.shared.take(planned)
        if stage is None:
            return False
        self._record_stage(stage)
        for unused in (self.path / planned.folder).glob(checkpoint.PATTERN):  # of a stage that was cut off
            unused.unlink(missing_ok=True)
        return True

    def _record_stage(self, stage: StageRecord) -> None:
        """Write down that a stage is complete, and show it."""
        self._add(stage)
        self._warn(stage)
        run_folder.write_record(self.path, self.record)
        self.display.end(stage)

    def _add(self, stage: StageRecord) -> None:
        """Put a stage that ended into the record."""
        self.record = self.record.with_stage(stage)
        seconds = sum(each.seconds for each in self.record.stages)
        self.record = dataclasses.replace(self.record, seconds=seconds)

    def _run_stage(self, planned: PlannedStage, source: Path, earlier: list[PlannedStage]) -> None:
        """Do a stage and record it."""
        self.record = self.record.with_stage(dataclasses.replace(planned.pending(), status="running"))
        run_folder.write_record(self.path, self.record)
        self.display.begin(planned.number, planned.name)
        logger.info("stage %d %s: begins", planned.number, planned.name)
        rate, float_model, group = self._rate(planned), self._float_model(planned), self.plan.config.group
        if group is not None and planned.epochs:
            announce(group, planned, self.path, source=source, float_model=float_model, rate=rate)
        run = StageRun(
            plan=self.plan,
            planned=planned,
            path=self.path,
            first_file=self.first_file,
            rate=rate,
            float_model=float_model,
            display=self.display,
            goes_on=None if self.gate is None or earlier else self._goes_on,
        )
        try:
            stage = self.shared.offer(run.run(source, earlier))
        except TrainingPaused as paused:
            self._add(run.stopped(paused))
            raise
        except Exception:
            self.record = self.record.with_stage(run.failed())
            raise
        self._record_stage(stage)
        run.forget_checkpoints()
        self.shared.announce(stage)
        logger.info("stage %d %s: complete after %.1f s", stage.number, stage.name, stage.seconds)

    def _float_model(self, planned: PlannedStage) -> Path:
        """Return the file of the model before anything was taken from it, as a stage finds it.

        That is the model of the stages that the run begins with and that only train, or the model as given.
        """
        path = self.path / "stages" / f".start-{model_file.NAME}"
        for each in self.plan.stages:
            if each.number >= planned.number or not isinstance(each.stage, AsGiven | Train):
                break
            path = self.path / str(self.record.stages[self.plan.stages.index(each)].model)
        return path

    def _rate(self, planned: PlannedStage) -> StageRate:
        """Return what the stage does to the learning rate: it is lower where the model is trained already."""
        earlier = (each for each in self.plan.stages if each.number < planned.number)
        trained = any(isinstance(each.stage, Train) for each in earlier)
        trained = trained or self.record.stages[0].at_chance is False
        scale = self.plan.config.rate_factor
        factor = planned.stage.fine_tuning if trained else 1.0
        highest = getattr(planned.stage, "learning_rate", None)
        return StageRate(None if highest is None else highest * scale, factor * scale)

    def _warn(self, stage: StageRecord) -> None:
        """Warn, once, of a model as given that has learned nothing, and of inputs that saturate."""
        guesses = stage.number == 0 and stage.at_chance
        trained_later = any(isinstance(each.stage, Train) for each in self.plan.stages)
        found = [chance_warning(self.plan.config.data)] if guesses and not trained_later else []
        inputs = {tensor.name for tensor in stage.contract.inputs} if stage.contract else set()
        found += [
            f"The input {each.tensor!r} of the file saturates: {each.reason}; {each.way_out}."
            for each in (stage.verification.findings if stage.verification else ())
            if each.tensor in inputs and each.kind == CUT_OFF_KIND
        ]
        for warning in found:
            if warning not in self.record.warnings:
                self.record = dataclasses.replace(self.record, warnings=(*self.record.warnings, warning))
                self.display.warn(warning)

    def _finish(self) -> None:
        last = self.record.stages[-1]
        if last.exports:
            write_atomically(self.path / FILE, (self.path / str(last.file)).read_bytes())
            if self.plan.config.data.class_names is not None:
                write_atomically(self.path / LABELS, stage_files.labels(self.plan.config.data.class_names))
        self.record = dataclasses.replace(self.record, status="complete", finished=now())
        run_folder.write_record(self.path, self.record)
        logger.info("run %s in %s: complete", self.record.name, self.path)
