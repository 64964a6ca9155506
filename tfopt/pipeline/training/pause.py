"""A training that pauses after an epoch, to go on later as if it had not.

A search that judges many runs by their first epochs stops those that are not worth more. The training is that
of its full length from the first step on: a learning rate that falls until the last step falls no faster
because of a pause, and a training that goes on after one ends with the same weights, to the last bit, as one
without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

History = Mapping[str, Sequence[float | None]]
"""Key of the logs -> a value for each epoch."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the first training of a run has come.

    Attributes:
        run: the name of the run's folder.
        epochs: how many epochs are done; `stage_epochs` where a callback has ended the training earlier.
        stage_epochs: how many the training has.
        run_epochs: how many all stages of the run have.
        history: the logs so far.
        parameters, macs: of the model: its numbers, and multiplications with addition for one sample;
            `None` where it cannot be told.
    """

    run: str
    epochs: int
    stage_epochs: int
    run_epochs: int
    history: History
    parameters: int | None = None
    macs: int | None = None


Gate = Callable[[Progress], bool]
"""Returns whether a run is to go on. It is asked after each epoch of the run's first stage, where that is a
`Train`, when the stage is complete, and again, with the same progress, where a run that was cut off or paused
goes on."""


class TrainingPaused(Exception):
    """A gate has not let a training go on.

    Attributes:
        history: the logs so far.
        seconds: how long was trained so far.
    """

    def __init__(self, history: History, seconds: float) -> None:
        super().__init__("The training is paused.")
        self.history = history
        self.seconds = seconds
