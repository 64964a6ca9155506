"""A run in several processes: the chief executes it and hands out what the workers train with it.

The chief owns the folder of the run. What trains nothing (planning, export, measuring) it does alone while
the others wait. For a stage that trains it sends the model that the stage takes, the stage's files
(checkpoint, what was decided before a restart) and the learning rate; a worker does the stage with these in
a folder of its own, which goes when the run ends. No folder has to be shared between machines.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfopt.distribute.process_group import ProcessGroup
from tfopt.files import TEMPORARY_PREFIX
from tfopt.pipeline import model_file
from tfopt.pipeline.progress import Display
from tfopt.pipeline.run import Run
from tfopt.pipeline.run_plan import PlannedStage, RunPlan
from tfopt.pipeline.stage_run import StageRun
from tfopt.pipeline.training.learning_rate import StageRate
from tfopt.run.run_record import RunRecord

logger = logging.getLogger(__name__)

_SOURCE, _FLOAT = "source", "float"


def announce(
    group: ProcessGroup,
    planned: PlannedStage,
    folder: Path,
    *,
    source: Path,
    float_model: Path,
    rate: StageRate,
) -> None:
    """Hand the workers what they need for a stage; the chief calls this before it begins.

    Args:
        group: the processes.
        planned: the stage.
        folder: the run's.
        source: the model that the stage takes.
        float_model: the one before anything was taken from it.
        rate: what the stage does to the learning rate.
    """
    files = {f"{_SOURCE}/{path.name}": path for path in _model(source)}
    files |= {f"{_FLOAT}/{path.name}": path for path in _model(float_model)}
    stage = folder / planned.folder
    for path in sorted(stage.glob("*")):
        if path.is_file() and path.suffix in (".npz", ".json") and not path.name.startswith(TEMPORARY_PREFIX):
            files[f"{planned.folder}/{path.name}"] = path
    group.broadcast(
        {
            "stage": planned.number,
            "files": [*files],
            "source": source.name,
            "float": float_model.name,
            "rate": dataclasses.asdict(rate),
        }
    )
    for path in files.values():
        group.broadcast(payload=path.read_bytes())


def finish(group: ProcessGroup, run: Run) -> None:
    """Tell the workers that the run is complete; the chief calls this."""
    group.broadcast({"complete": str(run.path), "record": run.record})
    group.barrier()


def follow(plan: RunPlan, group: ProcessGroup) -> Run:
    """Do a worker's part of a run, and return the run as the chief has it.

    Raises:
        WorkerError: another process is gone.
        TfoptError: whatever a stage raises.
    """
    stages = {planned.number: planned for planned in plan.stages}
    with tempfile.TemporaryDirectory(prefix="tfopt-worker-") as name, Display(len(stages), None) as display:
        folder = Path(name)
        while True:
            told, _ = group.broadcast()
            if "complete" in told:
                group.barrier()
                return Run(Path(told["complete"]), RunRecord.of(told["record"]))
            for file in told["files"]:
                path = folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(group.broadcast()[1])
            planned = stages[told["stage"]]
            logger.info("stage %d %s: takes part", planned.number, planned.name)
            _stage_run(plan, planned, folder, told, display).take_part(folder / _SOURCE / told["source"])


def _stage_run(
    plan: RunPlan, planned: PlannedStage, folder: Path, told: Mapping, display: Display
) -> StageRun:
    return StageRun(
        plan=plan,
        planned=planned,
        path=folder,
        first_file=b"",
        rate=StageRate(**told["rate"]),
        float_model=folder / _FLOAT / told["float"],
        display=display,
    )


def _model(path: Path) -> Iterator[Path]:
    """Yield the files of a model."""
    yield path
    if model_file.masks_of(path).exists():
        yield model_file.masks_of(path)
