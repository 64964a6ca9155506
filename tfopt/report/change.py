"""By how much a run changed its main metric, and whether that is more than was allowed."""

from __future__ import annotations

from dataclasses import dataclass

from tfopt.report.formats import is_number
from tfopt.report.table import main_metric, metric_of
from tfopt.run.run_record import RunRecord

# fmt: off
_HIGHER = frozenset([
    "accuracy", "acc", "auc", "precision", "recall", "f1", "score", "fbeta", "r2", "iou", "dice", "psnr",
    "ssim", "specificity", "sensitivity", "similarity", "correlation",
])
_LOWER = frozenset([
    "loss", "error", "mae", "mse", "rmse", "mape", "msle", "deviation", "logcosh", "crossentropy", "entropy",
    "hinge", "poisson", "divergence", "perplexity", "distance", "huber",
])
# fmt: on
"""The last of these words in the name of a metric tells whether more of it is better, or less."""


@dataclass(frozen=True)
class Change:
    """The main metric of a run's last stage against that of its first.

    Attributes:
        name: of the metric.
        before, after: its values.
        lower_is_better: such as of an error.
    """

    name: str
    before: float
    after: float
    lower_is_better: bool

    @property
    def drop(self) -> float:
        """How much worse it became; below 0 where it became better.

        Of a metric where lower is better, relative: 0.39 is 39 % more error. Of others in their own unit:
        0.05 is five points of an accuracy.
        """
        if not self.lower_is_better:
            return self.before - self.after
        if self.before == 0:
            return 0.0 if self.after == 0 else float("inf")
        return (self.after - self.before) / abs(self.before)


def lower_is_better(name: str) -> bool | None:
    """Return whether a metric is one of which less is better; `None` where its name does not say."""
    words = name.lower().replace("io_u", "iou").split("_")  # Keras calls its MeanIoU mean_io_u
    for word in reversed(words):
        if word in _LOWER:
            return True
        if word in _HIGHER:
            return False
    return None


def change(record: RunRecord) -> Change | None:
    """Return what became of the main metric of a run; `None` where that cannot be told."""
    compared = record.compared
    name = main_metric(record)
    lower = lower_is_better(name)
    if len(compared) < 2 or lower is None:
        return None
    before, after = metric_of(compared[0], name), metric_of(compared[-1], name)
    if not (is_number(before) and is_number(after)):
        return None
    return Change(name, before, after, lower)


def lost_too_much(record: RunRecord) -> bool:
    """Return whether the file of a run is worse than the `max_drop` of its export allows."""
    limit = record.stages[-1].config.get("max_drop") if record.stages else None
    found = change(record)
    return is_number(limit) and found is not None and found.drop > limit + 1e-9
