"""Training a stage's model in several processes: a copy of it in their strategy, and back.

A stage works on a model of one process, reads its weights and measures it as it likes. In a strategy of
several processes each of that would be a collective, which waits for the others to do the very same; so only
what `fit` trains lives there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfopt import graph
from tfopt.distribute.process_group import ProcessGroup
from tfopt.errors import WorkerError
from tfopt.pipeline.training import checkpoint


@contextlib.contextmanager
def in_strategy(
    model: keras.Model,
    strategy: tf.distribute.Strategy,
    group: ProcessGroup | None,
    structure: Callable[[keras.Model], str],
) -> Iterator[keras.Model]:
    """Yield what to train in place of `model`, which gets what was learned; the model itself in one process.

    Args:
        model: of this process.
        strategy: to train under.
        group: the processes; `None` for this one alone.
        structure: returns a digest of what must be alike in all processes.

    Raises:
        WorkerError: another process is gone, or has another model.
    """
    if group is None:
        yield model
        return
    agree(group, "model", structure(model))
    try:
        with strategy.scope():  # where variables begin with the chief's values
            trained = graph.copy(model)
        yield trained
        checkpoint.transfer(trained, model)
    except tf.errors.OpError as error:
        reason = group.explanation()
        if reason is None:
            raise
        raise WorkerError(reason) from error


def agree(group: ProcessGroup, what: str, digest: Any) -> None:
    """Raise, in every process, unless all have the same.

    Args:
        group: the processes.
        what: is compared.
        digest: of this process; or a dict of digests, of which those are named that differ.

    Raises:
        WorkerError: some do not.
    """
    found = group.gather(digest)
    sentence = _difference(what, found) if group.is_chief else None
    sentence, _ = group.broadcast(sentence)
    if sentence is not None:
        raise WorkerError(sentence)


def _difference(what: str, found: list[Any]) -> str | None:
    """Return who has something else than the chief."""
    for index, other in enumerate(found):
        if other == found[0]:
            continue
        if isinstance(other, dict):
            names = [name for name in {**found[0], **other} if found[0].get(name) != other.get(name)]
            what = f"{', '.join(names)} of the run"
        return (
            f"Worker {index} has another {what} than the chief: start all workers with the same recipe, "
            "data, values and versions."
        )
    return None
