"""Carrying out a plan: one stage after another, each from the file of the one before."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from pathlib import Path

from rich.console import Console

from tfopt.data.scale import BY_MODEL
from tfopt.data.structure import leaves
from tfopt.errors import RunError, TfoptError
from tfopt.pipeline.fingerprint import fingerprint
from tfopt.pipeline.following import finish, follow
from tfopt.pipeline.preflight import check_stages
from tfopt.pipeline.progress import Display
from tfopt.pipeline.run import Run
from tfopt.pipeline.run_plan import RunPlan
from tfopt.pipeline.sharing.inputs import stage_inputs
from tfopt.pipeline.sharing.stages import SharedStages
from tfopt.pipeline.stage_sequence import StageSequence
from tfopt.pipeline.training.pause import Gate, TrainingPaused
from tfopt.pipeline.training.replicated import agree
from tfopt.run import run_folder, stage_files
from tfopt.run.run_record import RunRecord

PAGE = "report.html"

logger = logging.getLogger(__name__)


def execute(
    plan: RunPlan,
    out: Path,
    *,
    fresh: bool,
    console: Console | None,
    source: str | None = None,
    gate: Gate | None = None,
) -> Run:
    """Run a plan in a folder below `out`, from where an earlier run of the same plan was cut off.

    Of several processes, the chief does; the others do their part of the training.

    Args:
        plan: what to do; it has passed its preflight.
        out: the folder of runs.
        fresh: start anew even where the same plan has a run.
        console: where to show progress; `None` for nowhere.
        source: the code of the recipe, to take stages from other runs in `out` and let these have the run's;
            `None` to do all stages.
        gate: asked whether the run goes on; `None` where it always does. One that does not is stopped.

    Raises:
        WorkerError: another process is gone, or is to run something else.
    """
    parts, group = plan.parts(), plan.config.group
    if group is None:
        return _executed(plan, parts, out, fresh=fresh, console=console, source=source, gate=gate)
    agree(group, "run", parts)
    if not group.is_chief:
        return follow(plan, group)
    run = _executed(plan, parts, out, fresh=fresh, console=console, source=source, gate=gate)
    finish(group, run)
    return run


def _executed(
    plan: RunPlan,
    parts: dict[str, str],
    out: Path,
    *,
    fresh: bool,
    console: Console | None,
    source: str | None,
    gate: Gate | None,
) -> Run:
    """Run a plan as `execute` does, in this process."""
    digest = fingerprint(parts)
    inputs = {} if source is None else stage_inputs(plan, source)
    given, out = out, Path(os.path.abspath(out))  # a callback may change the current folder
    with Display(len(plan.config.stages), console) as display:
        path = run_folder.choose(out, digest, fresh=fresh, tell=display.say)
        record = _complete(path, display)  # which needs no lock, nor a folder to write in
        if record is None:
            if not (path / run_folder.RECORD).exists():
                check_stages(plan)
            execution = StageSequence(plan, path, SharedStages(path, inputs), display, gate)
            record = _locked(execution, digest, parts)
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


def _locked(execution: StageSequence, digest: str, parts: dict[str, str]) -> RunRecord:
    """Carry out a run and return its record, while no other process does."""
    path = execution.path
    with run_folder.locked(path):
        try:
            execution.record = _begun(execution.plan, path, digest, parts, execution.display)
            return _carried_out(execution)
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
    if plan.config.data.place:
        display.say(
            f"Data: samples are read from {plan.config.data.place} when they are needed, not held in memory."
        )
    for warning in record.warnings:
        display.warn(warning)
    if any(scale is BY_MODEL for _, scale in leaves(plan.config.data.scale)):
        display.say(
            "The model scales its inputs by itself: it gets the images as bytes, 0 to 255. Give them to "
            'the file alike: data.unscaled(), or load(..., scale="none").'
        )
    return record


def _carried_out(execution: StageSequence) -> RunRecord:
    """Do the stages that are left of a run, and return its record."""
    path = execution.path
    logger.info("run %s in %s: %d stages", execution.record.name, path, len(execution.record.stages))
    try:
        execution.run()
    except TrainingPaused:
        execution.record = dataclasses.replace(execution.record, status="stopped")
        run_folder.write_record(path, execution.record)
        logger.info("run %s in %s: stopped", execution.record.name, path)
    except Exception as error:
        failed = dataclasses.replace(execution.record, status="failed", error=_one_line(error))
        with contextlib.suppress(RunError):  # a full disk; the error at hand says so already
            run_folder.write_record(path, failed)
        raise
    _write_page(path, execution.record)
    return execution.record


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
