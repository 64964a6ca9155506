"""Which `tf.distribute.Strategy` a run trains under."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import InvalidArgumentError

NAMES = ("auto", "one_device", "mirrored")
_SHORT = {
    "_DefaultDistributionStrategy": "one_device",
    "OneDeviceStrategy": "one_device",
    "MirroredStrategy": "mirrored",
    "TPUStrategy": "tpu",
    "TPUStrategyV2": "tpu",
}


def resolve(strategy: str | tf.distribute.Strategy = "auto") -> tf.distribute.Strategy:
    """Return the strategy that a name stands for.

    Args:
        strategy: `"one_device"`: the first GPU, else the CPU. `"mirrored"`: all GPUs, else all logical
            CPU devices (`MirroredStrategy`). `"auto"`: the strategy whose scope one is in, else
            `"mirrored"` where there is more than one GPU, else `"one_device"`. Or a
            `tf.distribute.Strategy` of your own: a `TPUStrategy` is taken as it is, untested.

    Raises:
        InvalidArgumentError: it is none of these; `keras.distribution` does nothing on TensorFlow.
    """
    if isinstance(strategy, tf.distribute.Strategy):
        return _supported(strategy)
    if isinstance(strategy, keras.distribution.DataParallel | keras.distribution.ModelParallel):
        raise InvalidArgumentError(
            f"keras.distribution.{type(strategy).__name__} has no effect on the TensorFlow backend. Pass "
            'strategy="mirrored" or a tf.distribute.Strategy.'
        )
    if strategy not in NAMES:
        raise InvalidArgumentError(
            f"Unknown strategy {strategy!r}; choose from {', '.join(NAMES)} or pass a tf.distribute.Strategy."
        )
    if tf.distribute.has_strategy():
        current = tf.distribute.get_strategy()
        if strategy == "auto":
            return _supported(current)
        raise InvalidArgumentError(
            f'strategy="{strategy}" inside the scope of {type(current).__name__} is ambiguous. '
            'Leave the scope or pass strategy="auto".'
        )
    gpus = tf.config.list_logical_devices("GPU")
    if strategy == "mirrored" or (strategy == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return _mirrored(tuple(device.name for device in devices))
    # The default strategy places as OneDeviceStrategy does, without its layer of indirection.
    return tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """Return the strategy of these devices: two in one process get in each other's collectives' way."""
    return tf.distribute.MirroredStrategy(list(devices))


def describe(strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Return what `run.json` says about a strategy: its name and number of replicas."""
    names = (kind.__name__ for kind in type(strategy).__mro__)
    name = next((_SHORT[name] for name in names if name in _SHORT), type(strategy).__name__)
    return {"name": name, "replicas": strategy.num_replicas_in_sync}


def _supported(strategy: tf.distribute.Strategy) -> tf.distribute.Strategy:
    refused = {
        tf.distribute.ParameterServerStrategy: "Keras 3 cannot train under it",
        tf.distribute.experimental.ParameterServerStrategy: "Keras 3 cannot train under it",
        tf.distribute.MultiWorkerMirroredStrategy: "Keras 3's fit fails under it",
    }
    for kind, reason in refused.items():
        if isinstance(strategy, kind):
            raise InvalidArgumentError(
                f"{type(strategy).__name__} is not supported: {reason}. Use MirroredStrategy."
            )
    return strategy
