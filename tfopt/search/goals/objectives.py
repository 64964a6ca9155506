"""The metrics that a search can improve, limit or keep: their names, and which way each is better."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from tfopt.errors import InvalidArgumentError

COSTS = {
    "bytes": "of the exported file",
    "compressed_bytes": "of the exported file after gzip",
    "macs": "multiply-accumulates of one inference",
    "params": "weights of the model",
    "latency": "of the exported file, as a ratio to the first trial's",
    "epochs": "that the run trained",
    "training_macs": "multiply-accumulates of its training",
    "seconds": "that the run took",
}
"""What each run costs -> what it counts. Less is better. Every other metric is one of the model's."""

MIN, MAX = "min", "max"

_LARGER = (
    *("accuracy", "acc", "auc", "precision", "recall", "f1_score", "fbeta_score", "io_u", "iou", "r2_score"),
    *("true_positives", "true_negatives", "cosine_similarity", "dice", "psnr", "ssim"),
    *("pearson_correlation", "concordance_correlation", "sensitivity_at_specificity"),
    *("specificity_at_sensitivity", "precision_at_recall", "recall_at_precision"),
)
_SMALLER = (
    *("loss", "crossentropy", "ce", "error", "mae", "mse", "rmse", "mape", "msle", "hinge", "logcosh"),
    *("kl_divergence", "kld", "poisson", "false_positives", "false_negatives", "perplexity"),
)
"""How Keras calls its metrics, or how their names end."""

AT_MOST_ONE = ("accuracy", "acc", "auc", "precision", "recall", "f1_score", "fbeta_score", "io_u", "iou")
"""Metrics that are shares: none can be above 1."""


class UnfitGoalError(InvalidArgumentError):
    """The runs of a recipe cannot be judged by the goal of a search, which no other trial would change."""


def direction_of(name: str) -> str | None:
    """Return which way a metric is better, `"min"` or `"max"`; `None` where its name does not tell."""
    if name in COSTS or _ends_in(name, _SMALLER):
        return MIN
    return MAX if _ends_in(name, _LARGER) else None


def is_share(name: str) -> bool:
    """Return whether a metric is known to be at most 1, as an accuracy is."""
    return name not in COSTS and _ends_in(name, AT_MOST_ONE)


def measured_as(name: str, measured: Iterable[str]) -> str | None:
    """Return what Keras calls the metric that a user named; `None` where it is none, or one of several.

    Args:
        name: as Keras has it, `"head.accuracy"` for the metric of one of several outputs, or the end of a
            name, such as `"accuracy"` where the only one is `"sparse_categorical_accuracy"`.
        measured: the names under which a run reports its metrics.
    """
    names = list(measured)
    for exact in (name, name.replace(".", "_"), {"acc": "accuracy"}.get(name)):
        if exact in names:
            return exact
    ending = [each for each in names if each.endswith(f"_{name}")]
    return ending[0] if len(ending) == 1 else None


def unknown_metric(name: str, measured: Iterable[str]) -> str:
    """Return the sentence about a metric that is not, or not clearly, among those that a run measures."""
    names = list(measured)
    ending = [each for each in names if each.endswith(f"_{name}")]
    if len(ending) > 1:
        return f"There are several metrics {name!r}: name one of {', '.join(ending)}."
    close = get_close_matches(name.lower(), [*names, *COSTS], n=1, cutoff=0.6)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return (
        f"The run has no metric {name!r}; it has {', '.join(names) or 'none of its own'}, and the costs "
        f"{', '.join(COSTS)}.{meant}"
    )


def _ends_in(name: str, known: Iterable[str]) -> bool:
    plain = re.sub(r"_\d+$", "", name.lower())  # Keras counts metrics of the same name
    return any(plain == each or plain.endswith((f"_{each}", f".{each}")) for each in known)
