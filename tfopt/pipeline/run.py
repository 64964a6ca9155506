"""The result of a run, read from its folder. Reading needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import RunError
from tfopt.run.run_folder import RECORD, is_being_written, read_record
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_files import FILE, damage

if TYPE_CHECKING:
    import keras

    from tfopt.export import TFLiteModel


class Run:
    """A run: its folder and its record.

    Args:
        path: the folder.
        record: of the run, or the content of its `run.json`.

    Attributes:
        path: the folder.
        typed: the record. Its status is `"running"`, `"complete"`, `"failed"`; or, as `Run.load` finds,
            `"interrupted"`, where no process writes the run any more, or `"damaged"`, where files of a
            complete run are missing or cut.
    """

    def __init__(self, path: Path, record: RunRecord | Mapping[str, Any]) -> None:
        self.path = path
        self.typed = RunRecord.of(record)

    @property
    def record(self) -> dict[str, Any]:
        """The record as the content of `run.json`, with the status that `typed` has."""
        return self.typed.to_json()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Run:
        """Read the run in the folder `path`, or the newest of the runs in its folders.

        Raises:
            RunError: there is none.
        """
        path = Path(path).expanduser()
        if path.name == RECORD:
            path = path.parent
        if not path.is_dir():
            raise RunError(f"No such folder: {path}.")
        if (path / RECORD).exists():
            return cls(path, _as_it_is(path, read_record(path)))
        runs, unreadable = runs_in(path)
        if not runs:
            if unreadable:
                raise next(iter(unreadable.values()))
            raise RunError(f"{path} holds no run: there is no {RECORD} in it or in a folder in it.")
        return max(runs, key=lambda run: run.typed.created or "")

    @property
    def complete(self) -> bool:
        """Whether all stages are done."""
        return self.typed.is_complete

    @property
    def passed(self) -> bool:
        """Whether all stages are done and the file lost no more than `ExportTFLite(max_drop=)` allows."""
        from tfopt.report.change import lost_too_much

        return self.complete and not lost_too_much(self.typed)

    @property
    def metrics(self) -> dict[str, float | None]:
        """Metrics of the last stage that is complete, on the test split."""
        measured = self.typed.measured
        return dict(measured[-1].metrics or {}) if measured else {}

    @property
    def report(self) -> str:
        """The table of stages, for a terminal."""
        from tfopt.report import text

        return text(self.typed)

    @property
    def tflite(self) -> TFLiteModel:
        """The exported file.

        Raises:
            RunError: the run has none (yet).
        """
        from tfopt.export import TFLiteModel

        exports = bool(self.typed.stages) and self.typed.stages[-1].exports
        again = "run the same command again to restore it"
        return TFLiteModel(
            self._file(FILE, again if exports else "end the pipeline with tfopt.ExportTFLite()")
        )

    def model(self, stage: str | int | None = None) -> keras.Model:
        """Load the Keras model that a stage made.

        Args:
            stage: its name in the record, such as `"prune"`, or its number counted from 1; by default
                the last that made one.

        Raises:
            RunError: there is no such stage, or it made no Keras model.
        """
        kept = [each for each in self.typed.stages if each.model]
        if stage is None:
            chosen = kept[-1].model if kept else None
        else:
            chosen = next((each.model for each in reversed(kept) if stage in (each.name, each.number)), None)
        if chosen is None:
            raise RunError(
                f"The run {self.path} has no Keras model of stage {stage!r}; "
                f"it has those of {', '.join(dict.fromkeys(each.name for each in kept)) or 'none'}."
            )
        path = self._file(chosen, "run the pipeline again to complete it")
        from tfopt.pipeline import model_file

        return model_file.load(path, compile=True)

    def _file(self, name: str, advice: str) -> Path:
        path = self.path / name
        if not path.is_file() or not path.stat().st_size:
            raise RunError(f"The run {self.path} has no {name} (it is {self.typed.status}): {advice}.")
        return path

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.typed.status})"


def runs_in(path: Path) -> tuple[list[Run], dict[Path, RunError]]:
    """Return the runs in the folders of `path`, and folder -> error of those whose record is unreadable."""
    runs, unreadable = [], {}
    for record in path.glob(f"*/{RECORD}"):
        try:
            runs.append(Run.load(record.parent))
        except RunError as error:
            unreadable[record.parent] = error
    return runs, unreadable


def _as_it_is(path: Path, record: RunRecord) -> RunRecord:
    """Return a record with the status that its run has now."""
    if record.status == "running" and is_being_written(path) is False:
        stages = tuple(
            dataclasses.replace(stage, status="interrupted") if stage.status == "running" else stage
            for stage in record.stages
        )
        return dataclasses.replace(record, status="interrupted", stages=stages)
    if record.is_complete and (names := damage(path, record, thorough=False)):
        return dataclasses.replace(record, status="damaged", error=f"missing or cut: {', '.join(names)}")
    return record
