"""The metrics that a search reads from a run: those of the file that was exported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tfopt.errors import RunError
from tfopt.run.stage_record import StageRecord

if TYPE_CHECKING:
    from tfopt.pipeline import Run


def last_stage(run: Run) -> StageRecord:
    """Return the stage whose file the run ships.

    Raises:
        RunError: the run recorded none.
    """
    if not run.typed.stages:
        raise RunError(f"The run {run.path} has no stages; give the recipe at least tfopt.ExportTFLite().")
    return run.typed.stages[-1]


def exported_file(run: Run) -> Path:
    """Return the path of the file that the run ships.

    Raises:
        RunError: the run has no such file.
    """
    name = last_stage(run).file
    if not name or not (Path(run.path) / name).is_file():
        raise RunError(
            f"The run {run.path} has no exported file; end the recipe's stages with ExportTFLite()."
        )
    return Path(run.path) / name


def accuracy(stage: StageRecord) -> float | None:
    """Return the accuracy of a stage on the validation split; `None` where it has none."""
    measured = stage.validation or {}
    names = [name for name in measured if name.endswith("accuracy")]
    name = "accuracy" if "accuracy" in names else next(iter(names), None)
    return None if name is None else measured[name]


def file_metrics(run: Run, latency: float | None) -> dict[str, float | None]:
    """Return the metrics of the exported file.

    Args:
        run: a complete run.
        latency: of its file, as a ratio to that of the first trial's file.
    """
    stage = last_stage(run)
    return {
        "accuracy": accuracy(stage),
        "bytes": stage.bytes,
        "compressed_bytes": stage.compressed_bytes,
        "latency": latency,
    }


def float_accuracy(run: Run) -> float | None:
    """Return the accuracy of the float model that the constraints of a search refer to."""
    return accuracy(run.typed.stages[0]) if run.typed.stages else None
