"""Carrying out a plan: one stage after another, each from the file of the one before."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from pathlib import Path

from rich.console import Console

from tfopt import graph
from tfopt.data.scale import BY_MODEL
from tfopt.data.structure import leaves
from tfopt.errors import RunError, TfoptError
from tfopt.export import to_tflite
from tfopt.export.runtime.findings import CUT_OFF_KIND
from tfopt.files import write_atomically
from tfopt.pipeline import model_file
from tfopt.pipeline.fingerprint import fingerprint
from tfopt.pipeline.following import announce, finish, follow
from tfopt.pipeline.judging import chance_warning
from tfopt.pipeline.preflight import check_stages
from tfopt.pipeline.progress import Display
from tfopt.pipeline.run import Run
from tfopt.pipeline.run_plan import AsGiven, PlannedStage, RunPlan
from tfopt.pipeline.stage_run import StageRun
from tfopt.pipeline.training.learning_rate import StageRate
from tfopt.pipeline.training.replicated import agree
from tfopt.run import run_folder, stage_files
from tfopt.run.environment import now
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_files import FILE, LABELS
from tfopt.run.stage_record import StageRecord
from tfopt.stages.train import Train

PAGE = "report.html"

logger = logging.getLogger(__name__)


def execute(plan: RunPlan, out: Path, *, fresh: bool, console: Console | None) -> Run:
    """Run a plan in a folder below `out`, from where an earlier run of the same plan was cut off.

    Of several processes, the chief does; the others do their part of the training.

    Args:
        plan: what to do; it has passed its preflight.
        out: the folder of runs.
        fresh: start anew even where the same plan has a run.
        console: where to show progress; `None` for nowhere.

    Raises:
        WorkerError: another process is gone, or is to run something else.
    """
    parts, group = plan.parts(), plan.config.group
    if group is None:
        return _executed(plan, parts, out, fresh=fresh, console=console)
    agree(group, "run", parts)
    if not group.is_chief:
        return follow(plan, group)
    run = _executed(plan, parts, out, fresh=fresh, console=console)
    finish(group, run)
    return run


def _executed(
    plan: RunPlan, parts: dict[str, str], out: Path, *, fresh: bool, console: Console | None
) -> Run:
    """Run a plan as `execute` does, in this process."""
    digest = fingerprint(parts)
    given, out = out, Path(os.path.abspath(out))  # a callback may change the current folder
    with Display(len(plan.config.stages), console) as display:
        path = run_folder.choose(out, digest, fresh=fresh, tell=display.say)
        record = _complete(path, display)  # which needs no lock, nor a folder to write in
        if record is None:
            if not (path / run_folder.RECORD).exists():
                check_stages(plan)
            record = _locked(plan, path, digest, parts, display)
    return Run(given / path.name if os.path.abspath(given) == str(out) else path, record)


def _complete(path: Path, display: Display) -> RunRecord | None:
    """Return the record of the run in `path` if it is complete and all of its files are there."""
    if not (path / run_folder.RECORD).exists():
        return None
    record = run_folder.read_record(path)
    if not record.is_complete:
        return None
    if names := stage_files.damage(path, record, thorough=True):
        display.say(f"The run {path} is damaged and is repaired: missing or changed are {', '.join(names)}.")
        return None
    display.say(f"The run {path} is complete: nothing is trained again (--fresh starts a new run).")
    logger.info("reusing the complete run %s", path)
    page = path / PAGE
    if not page.exists() or not page.stat().st_size:
        try:
            _write_page(path, record)
        except RunError as error:
            display.say(str(error))
    return record


def _locked(plan: RunPlan, path: Path, digest: str, parts: dict[str, str], display: Display) -> RunRecord:
    """Run a plan in `path` and return the record, while no other process does."""
    with run_folder.locked(path):
        try:
            record = _begun(plan, path, digest, parts, display)
            return _carried_out(plan, path, record, display)
        except OSError as error:
            raise RunError(
                f"Cannot read or write {error.filename or path}: {error.strerror or error}. Correct that "
                "and run the same command again."
            ) from error


def _begun(plan: RunPlan, path: Path, digest: str, parts: dict[str, str], display: Display) -> RunRecord:
    """Return the record of a run that begins or continues in `path`."""
    if (path / run_folder.RECORD).exists():
        record = run_folder.read_record(path)
        if [stage.name for stage in record.stages] != [planned.name for planned in plan.stages]:
            raise RunError(
                f"{path / run_folder.RECORD} lists other stages than the run has: it was changed. Delete "
                f"{path}, or run with --fresh (fresh=True)."
            )
        done = sum(stage.number != 0 for stage in record.measured)
        display.say(f"The run {path} continues: {done} of {len(plan.config.stages)} stages are complete.")
    else:
        record = plan.record(path, digest, parts)
        display.say(f"The run {path} begins.{_difference(path.parent, parts)}")
    record = dataclasses.replace(record, status="running", error=None)
    run_folder.write_record(path, record)
    if plan.config.reason:
        display.say(f"Strategy: {plan.config.reason}.")
    for warning in record.warnings:
        display.warn(warning)
    if any(scale is BY_MODEL for _, scale in leaves(plan.config.data.scale)):
        display.say(
            "The model scales its inputs by itself: it gets the images as bytes, 0 to 255. Give them to "
            'the file alike: data.unscaled(), or load(..., scale="none").'
        )
    return record


def _carried_out(plan: RunPlan, path: Path, record: RunRecord, display: Display) -> RunRecord:
    """Do the stages that are left of a run, and return its record."""
    logger.info("run %s in %s: %d stages", record.name, path, len(record.stages))
    execution = _Execution(plan, path, record, display)
    try:
        execution.run()
    except Exception as error:
        failed = dataclasses.replace(execution.record, status="failed", error=_one_line(error))
        with contextlib.suppress(RunError):  # a full disk; the error at hand says so already
            run_folder.write_record(path, failed)
        raise
    _write_page(path, execution.record)
    return execution.record


class _Execution:
    """A run while its stages are carried out."""

    def __init__(self, plan: RunPlan, path: Path, record: RunRecord, display: Display) -> None:
        self.plan = plan
        self.path = path
        self.record = record
        self.display = display
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
            if redo:
                self._run_stage(planned, source, earlier)
            stage = self.record.stages[index]
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
        )
        try:
            stage = run.run(source, earlier)
        except Exception:
            self.record = self.record.with_stage(run.failed())
            raise
        self.record = self.record.with_stage(stage)
        self._warn(stage)
        seconds = sum(each.seconds for each in self.record.stages)
        self.record = dataclasses.replace(self.record, seconds=seconds)
        run_folder.write_record(self.path, self.record)
        run.forget_checkpoints()
        self.display.end(stage)
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
        found = [chance_warning(self.plan.config.data)] if stage.number == 0 and stage.at_chance else []
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


def _write_page(path: Path, record: RunRecord) -> None:
    from tfopt.report import write_html

    write_html(path, record)


def _difference(out: Path, parts: dict[str, str]) -> str:
    """Say why the newest interrupted run of `out` is not the one that is resumed, if there is one."""
    try:
        newest = Run.load(out)
    except RunError:
        return ""
    before = newest.typed.parts
    changed = [name for name, digest in parts.items() if before.get(name) != digest[:8]]
    if newest.complete or not changed:
        return ""
    return f" It is not {newest.path.name}, which was interrupted: the {', '.join(changed)} differ."


def _one_line(error: BaseException) -> str:
    """Return an error as one line; a defect keeps the name of its kind."""
    kind = "" if isinstance(error, TfoptError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
