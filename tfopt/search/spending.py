"""What a search may spend, and what of it is left."""

from __future__ import annotations

from dataclasses import dataclass

from tfopt import _validation
from tfopt.run.search_record import SearchRecord

DEFAULT_TRIALS = 20
"""Where nothing else ends a search."""


@dataclass(frozen=True, kw_only=True)
class Spending:
    """The budgets of a search. A trial that began is finished, though it goes beyond hours and epochs.

    Args:
        trials: how many, those that were rejected before training not counted; `None` for any number.
        hours: of the clock, over all parts of the search; `None` for any.
        epochs: that the trials train together; `None` for any.
    """

    trials: int | None = None
    hours: float | None = None
    epochs: int | None = None

    @classmethod
    def of(cls, trials: int | None, hours: float | None, epochs_total: int | None) -> Spending:
        """Return the budgets that the arguments of `tfopt.search` describe.

        Raises:
            InvalidArgumentError: one is no number, or too small for any trial.
        """
        if trials is None and hours is None and epochs_total is None:
            trials = DEFAULT_TRIALS
        if trials is not None:
            _validation.whole("search", "trials", trials, at_least=1)
        if hours is not None:
            _validation.number("search", "hours", hours, above=0)
        if epochs_total is not None:
            _validation.whole("search", "epochs_total", epochs_total, at_least=1)
        return cls(trials=trials, hours=hours, epochs=epochs_total)

    def used_up(self, record: SearchRecord, seconds: float) -> str | None:
        """Return which budget leaves no room for another trial, in words; `None` where all do.

        The number of trials is for the sampler to count.

        Args:
            record: of the search.
            seconds: of the clock, that it ran.
        """
        if self.hours is not None and seconds >= 3600 * self.hours:
            return f"{self.hours:g} h"
        if self.epochs is not None and record.epochs >= self.epochs:
            return f"{self.epochs} epochs"
        return None

    def described(self) -> dict[str, float | int | None]:
        """Return the fields of `search.json`."""
        return {
            "requested_trials": self.trials,
            "requested_hours": self.hours,
            "requested_epochs": self.epochs,
        }
