"""What a search reads off a run: the figures of the file that came out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import RunError

if TYPE_CHECKING:
    from tfopt.pipeline import Run


def last_stage(run: Run) -> Mapping[str, Any]:
    """Return the entry of the stage whose file the run ships.

    Raises:
        RunError: the run recorded none.
    """
    stages = run.record.get("stages")
    if not stages:
        raise RunError(f"The run {run.path} has no stages; give the recipe at least tfopt.ExportTFLite().")
    return stages[-1]


def exported_file(run: Run) -> Path:
    """Return the path of the file that the run ships.

    Raises:
        RunError: the run has no such file.
    """
    name = last_stage(run).get("file")
    path = Path(run.path) / str(name)
    if not name or not path.is_file():
        raise RunError(
            f"The run {run.path} has no exported file; end the recipe's stages with ExportTFLite()."
        )
    return path


def accuracy(stage: Mapping[str, Any]) -> float | None:
    """Return the accuracy of a stage on the validation split; `None` where it has none."""
    measured = stage.get("validation") or {}
    names = [name for name in measured if name.endswith("accuracy")]
    name = "accuracy" if "accuracy" in names else next(iter(names), None)
    return None if name is None else measured[name]


def figures(run: Run, latency: float | None) -> dict[str, float | None]:
    """Return the figures of the exported file.

    Args:
        run: a complete run.
        latency: of its file, as a ratio to that of the first trial's file.
    """
    stage = last_stage(run)
    return {
        "accuracy": accuracy(stage),
        "bytes": stage.get("bytes"),
        "compressed_bytes": stage.get("compressed_bytes"),
        "latency": latency,
    }


def float_figures(run: Run) -> dict[str, float | None]:
    """Return the figures of the float model that a search's constraints refer to."""
    stages = run.record.get("stages") or [{}]
    return {"accuracy": accuracy(stages[0])}
