"""Several steps of a training in one call of a compiled function, on one device and many.

For `steps_per_execution`, Keras 3.15 hands optional batches around, which it cannot do for several replicas.
It also takes whole groups of steps: where they do not divide the steps of an epoch, the epoch reads on into
the next one, and the last epoch misses what the others took. Here the last group of an epoch is as short as
it has to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Epoch:
    """How many steps an epoch has, and at which of them the first one of a training begins."""

    steps: int
    first_step: int = 0


def train_function(model: Any, one_step: Callable[[Any], Any], epoch: Epoch) -> Callable[[Any], Any]:
    """Return a function of an iterator that does the steps of one execution, and returns the last one's logs.

    Args:
        model: compiled; `fit` calls the function once an execution.
        one_step: does one step with a batch on all replicas.
        epoch: its steps.
    """
    at_once = model.steps_per_execution
    done = epoch.first_step

    def steps(iterator: Any, count: tf.Tensor) -> Any:
        def another(number: tf.Tensor, _: Any) -> tuple[tf.Tensor, Any]:
            return number + 1, one_step(iterator.get_next())

        first = (tf.constant(1), one_step(iterator.get_next()))
        return tf.while_loop(lambda number, _: number < count, another, first)[1]

    compiled = steps if model.run_eagerly else tf.function(steps, autograph=False, reduce_retracing=True)

    def execution(iterator: Any) -> Any:
        nonlocal done
        count = min(at_once, epoch.steps - done)
        done = (done + count) % epoch.steps
        return compiled(iterator, tf.constant(count))

    return execution


def test_function(model: Any, one_step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function of an iterator that evaluates as many batches, where there are still so many."""
    at_once = model.steps_per_execution

    def execution(iterator: Any) -> Any:
        outputs = one_step(next(iterator))
        for _ in range(at_once - 1):
            try:
                batch = next(iterator)
            except StopIteration:
                break
            outputs = one_step(batch)
        return outputs

    return execution
