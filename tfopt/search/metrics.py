"""The metrics that a search reads from a run: those of the file that was exported."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tfopt.errors import RunError
from tfopt.run.search_record import BaselineRecord
from tfopt.run.stage_record import StageRecord
from tfopt.search.goals.objectives import COSTS, measured_as

if TYPE_CHECKING:
    from tfopt.pipeline import Run

_PASSES = 3
"""Of a training step, in forward passes."""


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


def model_metrics(stage: StageRecord, named: Iterable[str]) -> dict[str, float | None]:
    """Return the metrics of a stage on the validation split, as Keras calls them and as a user does.

    Args:
        stage: of a run.
        named: what a user calls metrics, see `objectives.measured_as`. The accuracy is always among them.
    """
    measured = {name: value for name, value in (stage.validation or {}).items() if name not in COSTS}
    found = dict(measured)
    for name in dict.fromkeys(["accuracy", *named]):
        known = measured_as(name, measured)
        if known is not None:
            found[name] = measured[known]
    return found


def file_metrics(run: Run, latency: float | None, named: Iterable[str] = ()) -> dict[str, float | None]:
    """Return the metrics of the exported file, and what the run cost.

    Args:
        run: a complete run.
        latency: of its file, as a ratio to that of the first trial's file.
        named: what a user calls metrics of the model.
    """
    stage = last_stage(run)
    return {
        **model_metrics(stage, named),
        "bytes": stage.bytes,
        "compressed_bytes": stage.compressed_bytes,
        "macs": stage.macs,
        "params": params(run),
        "latency": latency,
        "epochs": sum(stage.epochs for stage in run.typed.stages),
        "training_macs": training_macs(run),
        "seconds": run.typed.seconds,
    }


def baseline(run: Run, number: int, file: str, named: Iterable[str]) -> BaselineRecord:
    """Return what the trials of a search are compared with.

    Args:
        run: of the first trial.
        number: of the trial.
        file: the one that it exported, relative to the folder of the search.
        named: what a user calls metrics of the model.
    """
    costs = {name: value for name, value in file_metrics(run, None).items() if name in COSTS}
    latency = last_stage(run).latency
    return BaselineRecord(
        trial=number,
        file=file,
        metrics=model_metrics(run.typed.stages[0], named) if run.typed.stages else {},
        costs={**costs, "latency": latency.seconds if latency else None},
    )


def params(run: Run) -> int | None:
    """Return the weights of the last float model of a run; `None` where it recorded none."""
    counted = [stage.params for stage in run.typed.stages if stage.params is not None]
    return counted[-1] if counted else None


def training_macs(run: Run) -> int | None:
    """Return the multiply-accumulates of a run's training; `None` where they are not known.

    A step costs about three forward passes: one forward, and one each for the gradients of weights and of
    activations. Each epoch counts as one over the training split with the model that the stage ends with.
    """
    data = run.typed.data
    samples = None if data is None else data.train
    if samples is None:
        return None
    total = 0
    for stage in run.typed.stages:
        if stage.epochs and stage.macs is None:
            return None
        total += _PASSES * stage.epochs * samples * (stage.macs or 0)
    return total
