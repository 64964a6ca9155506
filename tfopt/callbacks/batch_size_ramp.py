"""A batch size that grows from epoch to epoch."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf

from tfopt import _validation
from tfopt._hyperparameters import AboveOne, Count, CountFromZero, checked, one_of, with_arguments
from tfopt.callbacks._core import learning_rates
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)

# scaling -> what the learning rate is multiplied by when the batch is `growth` times as large
_SCALINGS: dict[str | None, Callable[[float], float]] = {
    "linear": lambda growth: growth,
    "sqrt": math.sqrt,
    None: lambda growth: 1.0,  # noqa: ARG005 (called as the others)
}


class _EndOfEpoch:
    """What `model.stop_training` is where an epoch ends; callbacks that stop `fit` set it to `True`."""


_END_OF_EPOCH = _EndOfEpoch()


class _Batches:
    """Arrays, in batches whose size and order are variables that the pipeline reads as each epoch begins.

    `count` is the number of samples.
    """

    def __init__(self, arrays: Any, batch_size: int) -> None:
        lengths = {len(array) for array in keras.tree.flatten(arrays)}
        if len(lengths) != 1 or 0 in lengths:
            raise InvalidArgumentError(
                "BatchSizeRamp.dataset: expected arrays with one and the same number of samples, got "
                f"{sorted(lengths)}."
            )
        (self.count,) = lengths
        # Not in the scope of a strategy: a pipeline is one for all replicas.
        with tf.device("CPU:0"):
            # tf.data would stack what is in a list.
            self._arrays = keras.tree.lists_to_tuples(keras.tree.map_structure(tf.convert_to_tensor, arrays))
            self._order = tf.Variable(tf.range(self.count), trainable=False)
            self._size = tf.Variable(batch_size, dtype=tf.int64, trainable=False)
            self.iterations = tf.Variable(0, trainable=False)

    def __deepcopy__(self, memo: dict) -> _Batches:
        """Return itself, for a copy of the callback is to move the dataset that was made before."""
        return self

    def set(self, batch_size: int, order: np.ndarray) -> None:
        """Let the next iteration have these."""
        self._size.assign(batch_size)
        self._order.assign(order)

    def dataset(self) -> tf.data.Dataset:
        """Return the pipeline, of which `fit` does not know the length."""

        def epoch(_: tf.Tensor) -> tf.data.Dataset:
            self.iterations.assign_add(1)
            return tf.data.Dataset.from_tensor_slices(self._order.read_value()).batch(self._size.read_value())

        def batch(indices: tf.Tensor) -> Any:
            return keras.tree.map_structure(lambda array: tf.gather(array, indices), self._arrays)

        return tf.data.Dataset.range(1).flat_map(epoch).map(batch).prefetch(tf.data.AUTOTUNE)


class BatchSizeRamp(keras.callbacks.Callback):
    """Makes the batches of `fit` larger as training goes on, with or without a falling learning rate.

    `fit` fixes the batches of arrays when it begins, so they come from a dataset that this callback makes and
    moves: `model.fit(ramp.dataset(x, y), callbacks=[ramp], shuffle=False)`. Epoch e has batches of
    `min(initial_batch_size * factor^(e // epochs_per_rise), final_batch_size)` samples, rounded, and the last
    one what is left: each sample is seen exactly once an epoch. `initial_epoch` is minded. Each epoch's
    `logs` get `batch_size`.

    Limits: the data are arrays in memory; `fit` does not know the number of batches, so what needs it
    (`steps_per_epoch`, the pruning schedules of tfopt that count to the end) must be told otherwise, and a
    schedule of the learning rate by steps sees fewer steps an epoch as the ramp rises. A batch counts where
    it is made: with a `tf.distribute` strategy it is the global one, and with `gradient_accumulation_steps`
    that of each accumulation. With several replicas, Keras warns once that the input ran out of data: no more
    is meant than the end of an epoch.

    Reference: Smith, Kindermans, Ying and Le, Don't Decay the Learning Rate, Increase the Batch Size (2018,
    arXiv 1711.00489); for the scalings Goyal et al., Accurate, Large Minibatch SGD (2017, arXiv 1706.02677),
    section 2.1, and Krizhevsky, One weird trick for parallelizing convolutional neural networks (2014, arXiv
    1404.5997), section 5.

    Args:
        initial_batch_size: samples in a batch of epoch 0, >= 1.
        final_batch_size: at most, >= `initial_batch_size`.
        factor: what the size is multiplied by at each rise, > 1.
        epochs_per_rise: epochs from one rise to the next, >= 1.
        shuffle: whether each epoch has an order of its own, drawn from `seed` and its number.
        seed: >= 0.
        learning_rate_scaling: at each rise, multiply the optimizer's rate by the growth of the batch
            (`"linear"`), by its square root (`"sqrt"`), or leave it (`None`).

    Raises:
        InvalidArgumentError: at once, for an argument out of its range; when training begins, without a call
            of `dataset` before, for `learning_rate_scaling` with an optimizer that was built with a schedule,
            or a `fit` that was given its `steps_per_epoch`; at the first batch, where `fit` was given other
            data.

    Example:
        >>> ramp = BatchSizeRamp(2, 8, factor=2)
        >>> data = ramp.dataset(x, y)
        >>> history = model.fit(data, epochs=3, verbose=0, callbacks=[ramp], shuffle=False)
        >>> history.history["batch_size"]
        [2, 4, 8]
    """

    @checked
    def __init__(
        self,
        initial_batch_size: Count,
        final_batch_size: int,
        *,
        factor: AboveOne = 2.0,
        epochs_per_rise: Count = 1,
        shuffle: bool = True,
        seed: CountFromZero = 0,
        learning_rate_scaling: Annotated[str | None, one_of(*_SCALINGS)] = None,
    ) -> None:
        super().__init__()
        self.initial_batch_size = initial_batch_size
        self.final_batch_size = _validation.whole(
            type(self).__name__, "final_batch_size", final_batch_size, at_least=initial_batch_size
        )
        self.factor = factor
        self.epochs_per_rise = epochs_per_rise
        self.shuffle = bool(shuffle)
        self.seed = seed
        self.learning_rate_scaling = learning_rate_scaling
        self._batches: _Batches | None = None
        self._batch_size = self.initial_batch_size
        self._iterations_before = 0

    def batch_size(self, epoch: int) -> int:
        """Return the batch size of an epoch (0, 1, ...)."""
        rises = epoch // self.epochs_per_rise
        # The power of a long training would overflow.
        enough = math.log(self.final_batch_size / self.initial_batch_size) / math.log(self.factor)
        if rises >= enough:
            return self.final_batch_size
        return min(round(self.initial_batch_size * self.factor**rises), self.final_batch_size)

    def dataset(self, x: Any, y: Any = None, sample_weight: Any = None) -> tf.data.Dataset:
        """Return the dataset to give to `fit`; this callback, or a copy of it, moves the last one made.

        Args:
            x: arrays, in any structure that the model takes, with one sample a row.
            y: targets, likewise.
            sample_weight: weights, likewise.

        Raises:
            InvalidArgumentError: the arrays have no samples, or not the same number.
        """
        parts = (x, y, sample_weight)
        given = max(index for index, part in enumerate(parts) if part is not None) + 1
        self._batches = _Batches(parts[:given], self.initial_batch_size)
        return self._batches.dataset()

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Check that `fit` lets the batches grow."""
        self._made()
        if self.params.get("steps") is not None:
            raise InvalidArgumentError(
                "BatchSizeRamp: expected fit(ramp.dataset(x, y), callbacks=[ramp]) without steps_per_epoch, "
                f"got {self.params['steps']} steps an epoch, which cannot change while fit runs."
            )
        if self.learning_rate_scaling:
            learning_rates.adjustable(self)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the batch size and the order of the epoch."""
        batches, before = self._made(), self.batch_size(max(epoch - 1, 0))
        self._batch_size = self.batch_size(epoch)
        if self._batch_size != before:
            logger.info("Epoch %d: batches of %d samples, %d before", epoch, self._batch_size, before)
        order = np.arange(batches.count)
        if self.shuffle:
            order = np.random.default_rng((self.seed, epoch)).permutation(order)
        batches.set(self._batch_size, order.astype("int32"))
        self._iterations_before = int(batches.iterations.numpy())
        if self.learning_rate_scaling and self._batch_size != before:
            scale = _SCALINGS[self.learning_rate_scaling](self._batch_size / before)
            for optimizer in learning_rates.adjustable(self):
                optimizer.learning_rate = rate = scale * learning_rates.learning_rate(optimizer)
                logger.info("Epoch %d: learning rate of %s is %g", epoch, optimizer.name, rate)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """End the epoch after its last batch."""
        batches = self._made()
        if int(batches.iterations.numpy()) == self._iterations_before:
            raise InvalidArgumentError(
                "BatchSizeRamp: fit was given other data than the last dataset of this callback: "
                "model.fit(ramp.dataset(x, y), callbacks=[ramp])."
            )
        # Were fit to find the end by itself, it would warn that the data ran out. It has to where there are
        # several replicas: an iterator of theirs that is not read to its end keeps its threads until the
        # garbage collector comes by, which then stalls.
        alone = self.model.distribute_strategy.num_replicas_in_sync == 1
        ends = (batch + 1) * self._batch_size >= batches.count
        if alone and ends and not self.model.stop_training:
            self.model.stop_training = _END_OF_EPOCH

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Let `fit` go on to the next epoch, and put the batch size into `logs`."""
        if self.model.stop_training is _END_OF_EPOCH:
            self.model.stop_training = False
        if logs is not None:
            logs["batch_size"] = self._batch_size

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return with_arguments(self, {})

    def _made(self) -> _Batches:
        if self._batches is None:
            raise InvalidArgumentError(
                "BatchSizeRamp: fit was not given the callback's data: "
                "model.fit(ramp.dataset(x, y), callbacks=[ramp])."
            )
        return self._batches
