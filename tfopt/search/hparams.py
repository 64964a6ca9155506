"""The trials of a search for TensorBoard's HParams: hyperparameters and metrics, a folder each."""

from __future__ import annotations

from pathlib import Path

from tfopt.report.formats import is_number
from tfopt.run.search_record import SearchRecord, TrialRecord

FOLDER = "tensorboard"


def write_hparams(folder: Path, record: SearchRecord) -> None:
    """Write the trials that completed into `tensorboard/` of a search, those that are not there yet.

    Args:
        folder: of the search.
        record: of the search.
    """
    for trial in record.trials:
        where = folder / FOLDER / str(trial.number)
        if trial.is_complete and not where.exists():
            _write(where, trial)


def _write(where: Path, trial: TrialRecord) -> None:
    # Not by `tf.summary`: its first operation would take the memory of the GPUs that trials run on.
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams import api
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    known = {name: value for name, value in trial.values.items() if value is not None}
    summaries = [api.hparams_pb(known, trial_id=str(trial.number))]
    summaries += [scalar_pb(name, float(value)) for name, value in trial.metrics.items() if is_number(value)]
    writer = EventFileWriter(str(where))
    for summary in summaries:
        event = Event(step=0)
        event.summary.MergeFromString(summary.SerializeToString())
        writer.add_event(event)
    writer.close()
