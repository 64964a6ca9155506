"""Doing what a plan says: one stage after another, each from the file of the one before."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from tfopt import graph, measure
from tfopt.data.scale import BY_MODEL
from tfopt.data.structure import leaves
from tfopt.errors import InvalidArgumentError, RunError
from tfopt.export import TFLiteModel, to_tflite
from tfopt.export.runtime.findings import CUT_OFF_KIND
from tfopt.files import replacing, write_atomically
from tfopt.pipeline import model_file, results
from tfopt.pipeline.contract import contract
from tfopt.pipeline.fingerprint import fingerprint
from tfopt.pipeline.judging import chance_warning
from tfopt.pipeline.learning_rate import StageRate
from tfopt.pipeline.plan import Plan, Step
from tfopt.pipeline.progress import Display
from tfopt.pipeline.record import new_record, now, one_line, pending
from tfopt.pipeline.run import Run
from tfopt.pipeline.stage_context import StageContext
from tfopt.pruning.masks import put_masks, unsaved_masks
from tfopt.report.table import number_of
from tfopt.run import run_folder, stage_files
from tfopt.run.stage_files import FILE, LABELS
from tfopt.stages.train import Train

_MODEL = "model.keras"
_MEASURED = "measured.tflite"
PAGE = "report.html"


def execute(plan: Plan, out: Path, *, fresh: bool, console: Console | None) -> Run:
    """Run a plan in a folder below `out`, from where an earlier run of the same plan was cut off.

    Args:
        plan: what to do; it has passed its preflight.
        out: the folder of runs.
        fresh: start anew even where the same plan has a run.
        console: where to show progress; `None` for nowhere.
    """
    parts = plan.parts()
    digest = fingerprint(parts)
    given, out = out, Path(os.path.abspath(out))  # a callback may change the current folder
    with Display(len(plan.stages), console) as display:
        path = run_folder.choose(out, digest, fresh=fresh, tell=display.say)
        record = _complete(path, display)  # which needs no lock, nor a folder to write in
        if record is None:
            record = _locked(plan, path, digest, parts, display)
    return Run(given / path.name if os.path.abspath(given) == str(out) else path, record)


def _locked(plan: Plan, path: Path, digest: str, parts: dict[str, str], display: Display) -> dict[str, Any]:
    """Run a plan in `path` and return the record, while no other process does."""
    with run_folder.locked(path):
        try:
            return _execute(plan, path, digest, parts, display)
        except OSError as error:
            raise RunError(
                f"Cannot read or write {error.filename or path}: {error.strerror or error}. Correct that "
                "and run the same command again."
            ) from error


def _complete(path: Path, display: Display) -> dict[str, Any] | None:
    """Return the record of the run in `path` if it is complete and all of its files are there."""
    if not (path / run_folder.RECORD).exists():
        return None
    record = run_folder.read_record(path)
    if record["status"] != "complete":
        return None
    if names := stage_files.damage(path, record, thorough=True):
        display.say(f"The run {path} is damaged and is repaired: missing or changed are {', '.join(names)}.")
        return None
    display.say(f"The run {path} is complete: nothing is trained again (--fresh starts a new run).")
    page = path / PAGE
    if not page.exists() or not page.stat().st_size:
        try:
            _write_page(path, record)
        except RunError as error:
            display.say(str(error))
    return record


def _execute(plan: Plan, path: Path, digest: str, parts: dict[str, str], display: Display) -> dict[str, Any]:
    """Run a plan in `path`, which is locked."""
    if (path / run_folder.RECORD).exists():
        record = run_folder.read_record(path)
        if [entry["name"] for entry in record["stages"]] != [step.name for step in plan.steps]:
            raise RunError(
                f"{path / run_folder.RECORD} lists other stages than the run has: it was changed. Delete "
                f"{path}, or run with --fresh (fresh=True)."
            )
        done = [
            entry for entry in record["stages"] if entry["status"] == "complete" and number_of(entry) != 0
        ]
        display.say(f"The run {path} continues: {len(done)} of {len(plan.stages)} stages are complete.")
    else:
        record = new_record(plan, path, digest, parts)
        display.say(f"The run {path} begins.{_difference(path.parent, parts)}")
    record |= {"status": "running", "error": None}
    run_folder.write_record(path, record)
    for warning in record.setdefault("warnings", []):
        display.warn(warning)
    if any(scale is BY_MODEL for _, scale in leaves(plan.data.scale)):
        display.say(
            "The model scales its inputs by itself: it gets the images as bytes, 0 to 255. Give them to "
            'the file alike: data.unscaled(), or load(..., scale="none").'
        )
    try:
        _Execution(plan, path, record, display).run()
    except Exception as error:
        record |= {"status": "failed", "error": one_line(error)}
        with contextlib.suppress(RunError):  # a full disk; the error at hand says so already
            run_folder.write_record(path, record)
        raise
    _write_page(path, record)
    return record


class _Execution:
    """A run while its stages are worked off."""

    def __init__(self, plan: Plan, path: Path, record: dict[str, Any], display: Display) -> None:
        self.plan = plan
        self.path = path
        self.record = record
        self.display = display
        self.first_file = b""
        """The float32 file of the first stage: what latencies are compared with."""

    def run(self) -> None:
        """Do the stages that are not done, then write what belongs to the whole."""
        start = self.path / "stages" / f".start-{_MODEL}"
        model_file.save(self.plan.model, start)
        source, earlier, redo = start, list[Step](), False
        for step, entry in zip(self.plan.steps, self.record["stages"], strict=True):
            if not redo and not self._is_done(entry):
                # What comes after a stage that is made again rests on it, and is made again too.
                self._reset_from(step)
                redo = True
            if redo:
                self._run_stage(step, entry, source, earlier)
            if entry["model"]:
                source = self.path / entry["model"]
            self.first_file = self.first_file or (self.path / entry["file"]).read_bytes()
            earlier.append(step)
        self._finish()
        model_file.delete(start)

    def _is_done(self, entry: dict[str, Any]) -> bool:
        """Return whether a stage is complete, with a file restored that can be had without training."""
        if entry["status"] != "complete":
            return False
        names = stage_files.damaged(self.path, entry, thorough=True)
        if not names:
            return True
        if names == [entry["file"]] and self._restored(entry):
            self.display.say(f"{names[0]} was missing or changed and is restored.")
            return True
        self.display.say(
            f"Missing or changed: {', '.join(names)}. The stage {entry['name']} and those after it are "
            "repeated."
        )
        return False

    def _restored(self, entry: dict[str, Any]) -> bool:
        """Write the TFLite file of a stage again: from its model, or from what the run ships."""
        if entry["model"]:
            write_atomically(self.path / entry["file"], self._converted(self.path / entry["model"]))
            entry["files"] = stage_files.described(self.path, [*entry.get("files", ()), entry["file"]])
            return True
        if stage_files.shipped_is_damaged(self.path, entry, thorough=True):
            return False
        write_atomically(self.path / entry["file"], (self.path / FILE).read_bytes())
        return True

    def _converted(self, path: Path) -> bytes:
        model = model_file.load(path)
        return bytes(to_tflite(model, scheme="float32", input_shapes=graph.shapes_of(model, self.plan.data)))

    def _reset_from(self, first: Step) -> None:
        """Forget what is known of a stage and of those after it."""
        for step, entry in zip(self.plan.steps, self.record["stages"], strict=True):
            if step.number >= first.number:
                entry.clear()
                entry.update(pending(step))

    def _run_stage(self, step: Step, entry: dict[str, Any], source: Path, earlier: list[Step]) -> None:
        began = time.monotonic()
        directory = self.path / step.folder
        directory.mkdir(parents=True, exist_ok=True)
        (directory / FILE).unlink(missing_ok=True)
        entry.clear()
        entry.update(pending(step) | {"status": "running"})
        run_folder.write_record(self.path, self.record)
        self.display.begin(step.number, step.name)

        seed = self.plan.stage_seed(step.number)
        context = StageContext(
            data=self.plan.data,
            seed=seed,
            directory=directory,
            logs=self.path / "logs" / directory.name,
            compilation=self.plan.compilation,
            callbacks=self.plan.callbacks,
            batch_size=self.plan.batch_size,
            strategy=self.plan.strategy,
            display=self.display,
            fused=graph.is_fused(self.plan.model),
            rate=self._rate(step),
        )
        # From the file and this seed on, a stage depends on nothing that the process did before, so
        # that one which is resumed cannot differ.
        keras.utils.set_random_seed(seed)
        with self.plan.strategy.scope():
            model = model_file.load(source)
        try:
            model = step.stage.apply(model, context)
        except Exception:
            entry |= {**context.record, "status": "failed"}
            raise
        if not isinstance(model, keras.Model):
            kind = type(step.stage).__name__
            raise InvalidArgumentError(f"{kind}.apply must return a keras.Model, got {model!r}.")
        self.display.note("measuring")
        if context.exported is not None:
            _check(earlier, source, model)
            found = self._measure_file(model, context.exported)
        else:
            masks = unsaved_masks(model)
            with replacing(directory / _MODEL) as temporary:
                graph.copy(model).save(temporary)
                # What is checked and measured is what the file holds.
                model = keras.saving.load_model(temporary, compile=False)
                put_masks(model, masks)
                _check(earlier, source, model)
            model_file.write_masks(directory / _MODEL, masks)
            found = self._measure_model(model, directory)

        shapes = graph.shapes_of(model, self.plan.data)
        found["macs"] = measure.macs(graph.with_input_shapes(model, shapes))
        entry |= {"verification": None, **context.record, **found, "history": context.history}
        self._warn(step, entry)
        names = [entry["model"], entry["file"]]
        if entry["model"]:
            names.append(os.fspath(model_file.masks_of(Path(entry["model"]))))
        entry["files"] = stage_files.described(self.path, [name for name in names if name])
        entry |= {"status": "complete", "seconds": time.monotonic() - began + context.earlier_seconds}
        self.record["seconds"] = sum(each["seconds"] for each in self.record["stages"])
        run_folder.write_record(self.path, self.record)
        context.forget_checkpoints()
        self.display.end(step.number, entry["title"], entry["metrics"], entry["seconds"])

    def _rate(self, step: Step) -> StageRate:
        """Return what the stage does to the learning rate: it is lower where the model is trained already."""
        trained = any(isinstance(each.stage, Train) for each in self.plan.steps if each.number < step.number)
        trained = trained or self.record["stages"][0].get("at_chance") is False
        factor = step.stage.fine_tuning if trained else 1.0
        return StageRate(getattr(step.stage, "learning_rate", None), factor)

    def _warn(self, step: Step, entry: dict[str, Any]) -> None:
        """Warn, once, of a model as given that has learned nothing, and of inputs that saturate."""
        found = []
        if step.number == 0 and entry["at_chance"]:
            found.append(chance_warning(self.plan.data))
        inputs = {each["name"] for each in (entry.get("contract") or {}).get("inputs", ())}
        found += [
            f"The input {each['tensor']!r} of the file saturates: {each['reason']}; {each['way_out']}."
            for each in (entry["verification"] or {}).get("findings", ())
            if each["tensor"] in inputs and each.get("kind") == CUT_OFF_KIND
        ]
        for warning in found:
            if warning not in self.record["warnings"]:
                self.record["warnings"].append(warning)
                self.display.warn(warning)

    def _measure_model(self, model: keras.Model, directory: Path) -> dict[str, Any]:
        plan = self.plan
        file = to_tflite(model, scheme="float32", input_shapes=graph.shapes_of(model, plan.data))
        # What the stage itself has written is not to be lost.
        name = _MEASURED if (directory / FILE).exists() else FILE
        write_atomically(directory / name, bytes(file))
        return {
            "model": f"stages/{directory.name}/{_MODEL}",
            "file": f"stages/{directory.name}/{name}",
            "sparsity": measure.sparsity(model),
            **results.of_model(model, plan.data, plan.compilation, plan.batch_size),
            **results.of_bytes(bytes(file), self.first_file or bytes(file)),
        }

    def _measure_file(self, model: keras.Model, path: Path) -> dict[str, Any]:
        plan = self.plan
        file = TFLiteModel(path)
        return {
            "model": None,
            "file": f"stages/{path.parent.name}/{path.name}",
            "sparsity": file.summary().sparsity,
            "contract": contract(file, plan.data),
            **results.of_file(file, model, plan.data, plan.compilation, plan.batch_size),
            **results.of_bytes(bytes(file), self.first_file or bytes(file)),
        }

    def _finish(self) -> None:
        last = self.record["stages"][-1]
        if last["model"] is None:
            write_atomically(self.path / FILE, (self.path / last["file"]).read_bytes())
            if self.plan.data.class_names is not None:
                write_atomically(self.path / LABELS, stage_files.labels(self.plan.data.class_names))
        self.record |= {"status": "complete", "finished": now()}
        run_folder.write_record(self.path, self.record)


def _write_page(path: Path, record: dict[str, Any]) -> None:
    from tfopt.report import write_html

    write_html(path, record)


def _difference(out: Path, parts: dict[str, str]) -> str:
    """Say why the newest interrupted run of `out` is not the one that is resumed, if there is one."""
    try:
        newest = Run.load(out)
    except RunError:
        return ""
    before = newest.record.get("parts", {})
    changed = [name for name, digest in parts.items() if before.get(name) != digest[:8]]
    if newest.complete or not changed:
        return ""
    return f" It is not {newest.path.name}, which was interrupted: the {', '.join(changed)} differ."


def _check(earlier: list[Step], source: Path, after: keras.Model) -> None:
    """Check that what the earlier stages made is still there."""
    if earlier:
        before = model_file.load(source)
        for step in earlier:
            step.stage.check(before, after)
