"""The accuracy of predictions, class by class, and whether a model is better than a guess at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfopt.data.dataset import Dataset
from tfopt.pipeline.training.compilation import Compilation
from tfopt.run.stage_record import ClassRecord

_DEVIATIONS = 2.0
"""So many standard deviations above chance may still be luck."""


def chosen(predicted: Any, data: Dataset, compilation: Compilation) -> np.ndarray | None:
    """Return the class that each prediction chooses; `None` where it chooses none of the data's.

    Args:
        predicted: what the model returned for the samples.
    """
    if data.num_classes is None or not isinstance(predicted, np.ndarray) or predicted.ndim != 2:
        return None
    if predicted.shape[1] == data.num_classes and predicted.shape[1] > 1:
        return predicted.argmax(axis=1)
    if data.num_classes == 2 and predicted.shape[1] == 1:
        return (predicted[:, 0] > (0.0 if compilation.from_logits() else 0.5)).astype(np.int32)
    return None


def by_class(predicted: Any, data: Dataset, compilation: Compilation) -> tuple[ClassRecord, ...] | None:
    """Return name, samples and accuracy of each class on the test split, in the order of the classes."""
    found, labels = chosen(predicted, data, compilation), data.labels("test")
    if found is None or labels is None or data.num_classes is None:
        return None
    names = data.class_names or [str(number) for number in range(data.num_classes)]
    rows = []
    for number, name in enumerate(names):
        mine = labels == number
        right = float(np.mean(found[mine] == number)) if mine.any() else None
        rows.append(ClassRecord(name=name, samples=int(mine.sum()), accuracy=right))
    return tuple(rows)


def at_chance(predicted: Any, data: Dataset, compilation: Compilation) -> bool | None:
    """Return whether predictions for the test split are no better than a guess; `None` where nobody can say.

    A guess is one class for all, whose mean accuracy over the classes is 1 / classes; or, for a regression,
    the mean of the targets.
    """
    rows = by_class(predicted, data, compilation)
    if rows is not None:
        known = [row for row in rows if row.samples]
        if len(known) < 2:
            return None
        chance = 1 / len(known)
        variance = chance * (1 - chance) * np.mean([1 / row.samples for row in known]) / len(known)
        return bool(np.mean([row.accuracy for row in known]) <= chance + _DEVIATIONS * np.sqrt(variance))
    _, targets = data.split("test")
    if data.num_classes is not None or not compilation.is_regression():
        return None
    if not isinstance(predicted, np.ndarray) or not isinstance(targets, np.ndarray):
        return None
    if predicted.size != targets.size or len(targets) < 2:
        return None
    targets = targets.reshape(len(targets), -1)
    errors = np.mean((predicted.reshape(targets.shape) - targets) ** 2)
    return bool(errors >= np.mean((targets - targets.mean(axis=0)) ** 2))


def chance_warning(data: Dataset) -> str:
    """Return the warning about a model that is no better than a guess before the first stage."""
    guess = "the mean of the targets" if data.num_classes is None else "a guess"
    return (
        f"The model as given is no better than {guess} on the held-out data. If it has been trained, its "
        f"inputs are not those of its training (the data's are: {data.normalization}) or its targets mean "
        "something else. If not, begin with tfopt.Train(epochs=...)."
    )
