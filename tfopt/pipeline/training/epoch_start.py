"""Beginning a training in the middle of an epoch: what Keras's `fit` cannot be told, that of Keras 3.15.

`fit` counts the steps of each epoch from 0. Here the first epoch of one training begins at another step:
its iterator, which `fit` hands to `_maybe_symbolic_build` of the model, counts from there, once. Callbacks
see the steps that they would have seen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from tfopt.errors import UnsupportedModel

_NEEDED = ("_maybe_symbolic_build", "_symbolic_build")
_ENUMERATE = "_enumerate_iterator"


@contextlib.contextmanager
def starting_at(model: Any, step: int) -> Iterator[None]:
    """Let the first epoch of a `fit` with `steps_per_epoch` begin at a step, where its batches begin too.

    The metrics of the model are built before that epoch, so that their values can be restored.

    Args:
        model: compiled.
        step: how many steps of the epoch are done; 0 changes nothing.

    Raises:
        UnsupportedModel: this Keras has no more what is needed.
    """
    if not step:
        yield
        return
    if missing := [name for name in _NEEDED if not hasattr(model, name)]:
        raise _moved(missing)
    held, build = vars(model).get(_NEEDED[0]), model._maybe_symbolic_build

    def prepared(iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is None:
            build(data_batch=data_batch)
            return
        build(iterator=iterator)
        iterator.reset()  # as `fit` does: `build` may have taken a batch, and this may be the only one
        _build_metrics(model, iterator)
        _begin_at(iterator, step)
        _put(model, held)  # evaluations are not concerned

    _put(model, prepared)
    try:
        yield
    finally:
        _put(model, held)


def _put(model: Any, method: Any) -> None:
    """Let a model have a method of its own; `None` for that of its class."""
    if method is None:
        vars(model).pop(_NEEDED[0], None)
    else:
        vars(model)[_NEEDED[0]] = method


def _build_metrics(model: Any, iterator: Any) -> None:
    """Build the metrics that only the first batch would build, where they are not."""
    strategy = model.distribute_strategy
    for _, _, batches in iterator:
        parts = next(batches)
        batch = keras.tree.map_structure(lambda value: strategy.experimental_local_results(value)[0], parts)
        with strategy.scope():
            model._symbolic_build(data_batch=batch)
        break


def _begin_at(epochs: Any, step: int) -> None:
    """Let an iterator of epochs begin its next one at a step."""
    if not hasattr(epochs, _ENUMERATE):
        raise _moved([_ENUMERATE])
    enumerate_steps = epochs._enumerate_iterator

    def first() -> Iterator[Any]:
        del epochs._enumerate_iterator
        whole, epochs.steps_per_epoch = epochs.steps_per_epoch, epochs.steps_per_epoch - step
        try:
            for begin, end, batches in enumerate_steps():
                yield begin + step, end + step, batches
        finally:
            epochs.steps_per_epoch = whole

    epochs._enumerate_iterator = first


def _moved(names: list[str]) -> UnsupportedModel:
    return UnsupportedModel(
        f"Keras {keras.__version__} has no {', '.join(names)}, through which tfopt goes on in the middle of "
        "an epoch. Install keras==3.15.*, or begin the run anew with --fresh (fresh=True)."
    )
