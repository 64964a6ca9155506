"""What came out of a run, read from its folder. Reading needs no TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import RunError
from tfopt.run.run_folder import RECORD, is_being_written, read_record
from tfopt.run.stage_files import FILE, damage

if TYPE_CHECKING:
    import keras

    from tfopt.export import TFLiteModel


class Run:
    """A run: its folder and its record.

    Attributes:
        path: the folder.
        record: the content of `run.json`. Its status is `"running"`, `"complete"`, `"failed"`; or, as
            `Run.load` finds, `"interrupted"`, where no process writes the run any more, or `"damaged"`, where
            files of a complete run are missing or cut.
    """

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self.record = record

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
        return max(runs, key=lambda run: run.record.get("created") or "")

    @property
    def complete(self) -> bool:
        """Whether all stages are done."""
        return self.record["status"] == "complete"

    @property
    def passed(self) -> bool:
        """Whether all stages are done and the file lost no more than `ExportTFLite(max_drop=)` allows."""
        from tfopt.report.change import lost_too_much

        return self.complete and not lost_too_much(self.record)

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of the last stage that is complete, on the test split."""
        done = [stage for stage in self.record["stages"] if stage["status"] == "complete"]
        return dict(done[-1]["metrics"]) if done else {}

    @property
    def report(self) -> str:
        """The table of stages, for a terminal."""
        from tfopt.report import text

        return text(self.record)

    @property
    def tflite(self) -> TFLiteModel:
        """The exported file.

        Raises:
            RunError: the run has none (yet).
        """
        from tfopt.export import TFLiteModel

        last = self.record["stages"][-1] if self.record["stages"] else {}
        exports = last.get("model", "") is None
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
        stages = {entry["name"]: entry for entry in self.record["stages"] if entry.get("model")}
        numbered = {int(Path(entry["model"]).parent.name.split("-")[0]): entry for entry in stages.values()}
        chosen = {**stages, **numbered}.get(next(reversed(stages), "") if stage is None else stage)
        if chosen is None:
            raise RunError(
                f"The run {self.path} has no Keras model of stage {stage!r}; "
                f"it has those of {', '.join(stages) or 'none'}."
            )
        path = self._file(chosen["model"], "run the pipeline again to complete it")
        from tfopt.pipeline import model_file

        return model_file.load(path, compile=True)

    def _file(self, name: str, advice: str) -> Path:
        path = self.path / name
        if not path.is_file() or not path.stat().st_size:
            raise RunError(f"The run {self.path} has no {name} (it is {self.record['status']}): {advice}.")
        return path

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.record['status']})"


def runs_in(path: Path) -> tuple[list[Run], dict[Path, RunError]]:
    """Return the runs in the folders of `path`, and folder -> error of those whose record is unreadable."""
    runs, unreadable = [], {}
    for record in path.glob(f"*/{RECORD}"):
        try:
            runs.append(Run.load(record.parent))
        except RunError as error:
            unreadable[record.parent] = error
    return runs, unreadable


def _as_it_is(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the status that its run has now."""
    if record["status"] == "running" and is_being_written(path) is False:
        stages = [
            entry | ({"status": "interrupted"} if entry["status"] == "running" else {})
            for entry in record["stages"]
        ]
        return record | {"status": "interrupted", "stages": stages}
    if record["status"] == "complete" and (names := damage(path, record, thorough=False)):
        return record | {"status": "damaged", "error": f"missing or cut: {', '.join(names)}"}
    return record
