"""Stages that another run in the same folder of runs has done: they are taken from there, not done again.

The runs of a search often begin alike: the trials of one width all train the same float model. A stage whose
digest (`tfopt.pipeline.sharing.inputs`) another run has recorded would have the same result, so its files and
its record are copied. Which run did a stage stands in a file named after the digest; that file, and the other
run, may be gone, damaged or just being written, and then the stage is done as without them.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

from tfopt.errors import RunError
from tfopt.files import TEMPORARY_PREFIX, write_atomically
from tfopt.pipeline.run_plan import PlannedStage
from tfopt.pipeline.training.checkpoint import PATTERN
from tfopt.run import run_folder, stage_files
from tfopt.run.stage_record import StageRecord

FOLDER = ".stages"
"""In a folder of runs: a file for each stage that was done. Its name is the digest, its content the run's."""

logger = logging.getLogger(__name__)


class SharedStages:
    """The stages that a run shares with the others in its folder of runs.

    Args:
        path: the folder of the run.
        inputs: number of a stage -> its digest.
    """

    def __init__(self, path: Path, inputs: Mapping[int, str]) -> None:
        self._path = path
        self._inputs = inputs

    def offer(self, stage: StageRecord) -> StageRecord:
        """Return the record of a stage that the run did, with its digest.

        To be found by others, it is to be `announced` once this record is written.
        """
        return dataclasses.replace(stage, inputs=self._inputs.get(stage.number))

    def announce(self, stage: StageRecord) -> None:
        """Let other runs find a stage that the run did, and recorded."""
        if stage.inputs is not None:
            write_atomically(self._path.parent / FOLDER / stage.inputs, self._path.name)

    def take(self, planned: PlannedStage) -> StageRecord | None:
        """Copy a stage from the run that did it and return its record; `None` where no run has it whole."""
        inputs = self._inputs.get(planned.number)
        other = self._done_by(inputs) if inputs is not None else None
        stage = None if other is None else _complete(other, planned, inputs)
        if other is None or stage is None or stage_files.damaged(other, stage, thorough=True):
            return None
        files = stage.files or {}
        copied = _copy(other / planned.folder, self._path / planned.folder)
        # The other run may have been damaged, and done again, meanwhile.
        if not copied or _complete(other, planned, inputs) != stage:
            return None
        if stage_files.described(self._path, files) != files:
            return None
        logger.info("stage %d %s: taken from the run %s", planned.number, planned.name, other.name)
        return dataclasses.replace(stage, taken_from=other.name)

    def _done_by(self, inputs: str) -> Path | None:
        """Return the folder of the run that did a stage, if one is known."""
        try:
            name = (self._path.parent / FOLDER / inputs).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        other = self._path.parent / name
        return other if other.name == name and name != self._path.name else None


def _complete(other: Path, planned: PlannedStage, inputs: str | None) -> StageRecord | None:
    """Return the record of a stage in another run, if it is complete, the run's own and of this digest."""
    try:
        record = run_folder.read_record(other)
    except RunError:
        return None
    for stage in record.stages:
        if stage.number == planned.number and stage.name == planned.name and stage.inputs == inputs:
            whole = stage.is_complete and stage.taken_from is None and stage.files
            return stage if whole else None
    return None


def _copy(source: Path, target: Path) -> bool:
    """Copy what a stage wrote, each file whole or not at all; return whether all could be read."""
    for file in sorted(source.rglob("*")):
        unfinished = file.name.startswith(TEMPORARY_PREFIX) or file.match(PATTERN)
        if unfinished or not file.is_file():
            continue
        try:
            content = file.read_bytes()
        except OSError:
            return False
        write_atomically(target / file.relative_to(source), content)
    return True
