"""The samples that a criterion looks at, checked before anything is computed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfopt import _validation
from tfopt.data.labelled import labelled
from tfopt.data.samples import batches, finite, lengths
from tfopt.data.streaming.stored import indexable
from tfopt.data.structure import count
from tfopt.errors import DataError, InvalidArgumentError

WHAT = "prune_channels: data"


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples in batches.

    Attributes:
        x: inputs as the model takes them, samples first.
        y: labels, or None.
        loss: of labels and outputs as `keras.Model.compile` takes it; None without labels.
        batch_size: samples a batch.
    """

    x: Any
    y: Any
    loss: Any
    batch_size: int

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yield (x, y) of whole batches: the samples that are left over at the end are not looked at."""
        whole = count(self.x) // self.batch_size
        yield from itertools.islice(batches((self.x, self.y), self.batch_size), whole)


def checked_samples(
    importance: str,
    data: Any,
    loss: Any,
    *,
    labels: bool,
    batch_size: int = 32,
    limit: int = 512,
) -> Samples:
    """Return the samples of `data` for a criterion that needs them.

    Args:
        importance: the name of the criterion, for messages.
        data: see `tfopt.data.labelled.labelled`.
        loss: see `Samples`.
        labels: whether labels and a loss are needed.
        batch_size: samples a batch, 1 or more.
        limit: how many samples are taken at most, spread evenly.

    Raises:
        InvalidArgumentError: data, labels or the loss are missing.
        DataError: fewer samples than a batch, or values that are not finite.
    """
    _validation.whole("prune_channels", "batch_size", batch_size, at_least=1)
    if data is None:
        given = "data=(x, y)" if labels else "data=x"
        raise InvalidArgumentError(
            f"prune_channels: importance={importance!r} looks at samples, and there are none: give {given} "
            'or a tfopt.data.Dataset, or take a criterion of the weights alone, such as importance="l2".'
        )
    x, y = labelled(data, WHAT)
    if labels and y is None:
        raise InvalidArgumentError(
            f"prune_channels: importance={importance!r} needs labels, and data holds inputs alone: give "
            "data=(x, y)."
        )
    if labels and loss is None:
        raise InvalidArgumentError(
            f"prune_channels: importance={importance!r} needs a loss, and the model is compiled without one: "
            'give loss=..., as compile() takes it, such as loss="sparse_categorical_crossentropy".'
        )
    _check(x, y if labels else None, importance, batch_size)
    return _some(x, y if labels else None, loss if labels else None, batch_size, limit)


def any_samples(data: Any, loss: Any, limit: int = 512) -> Samples | None:
    """Return what there is of `data` as samples, for what can do with inputs alone, or without any."""
    return None if data is None else _some(*labelled(data, WHAT), loss, 32, limit)


def _some(x: Any, y: Any, loss: Any, batch_size: int, limit: int) -> Samples:
    """Return at most `limit` samples, spread evenly."""
    chosen = np.linspace(0, count(x) - 1, min(max(limit, batch_size), count(x))).astype(int)
    x, y = (
        None if part is None else keras.tree.map_structure(lambda array: indexable(array)[chosen], part)
        for part in (x, y)
    )
    return Samples(x, y, loss, batch_size)


def _check(x: Any, y: Any, importance: str, batch_size: int) -> None:
    counts = lengths(x, y)
    if len(counts) != 1:
        raise DataError(
            f"prune_channels: expected as many labels as inputs in data, got {sorted(counts)} samples."
        )
    (found,) = counts
    if found < batch_size:
        raise DataError(
            f"prune_channels: importance={importance!r} needs a batch of {batch_size} samples at least, got "
            f"{found}: give more data, or a smaller batch_size."
        )
    if not finite(x, y):
        raise DataError(
            "prune_channels: the data holds NaN or infinite values; remove or repair them, or no unit can be "
            "scored."
        )
