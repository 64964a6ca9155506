"""Which `tf.distribute.Strategy` a run trains under."""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfopt.distribute import workers
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)

NAMES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
_SHORT = {
    "_DefaultDistributionStrategy": "one_device",
    "OneDeviceStrategy": "one_device",
    "MirroredStrategy": "mirrored",
    "CollectiveAllReduceStrategy": "multi_worker",
    "TPUStrategy": "tpu",
    "TPUStrategyV2": "tpu",
}
_TPU_NAME = "TPU_NAME"


@dataclass(frozen=True)
class Choice:
    """A strategy, and why it was taken.

    Attributes:
        strategy: the strategy.
        reason: such as `"mirrored over 2 GPUs, because there is more than one"`.
    """

    strategy: tf.distribute.Strategy
    reason: str


def resolve(strategy: str | tf.distribute.Strategy = "auto") -> tf.distribute.Strategy:
    """Return the strategy that a name stands for; the reason is logged.

    GPUs that TensorFlow has not touched yet get memory as they need it, not all at once.

    Args:
        strategy: `"one_device"`: the first GPU, else the CPU. `"mirrored"`: all GPUs, else all logical
            CPU devices (`MirroredStrategy`). `"multi_worker"`: the processes of `TF_CONFIG` (see
            `tfopt.distribute.multi_worker`). `"tpu"` or `"tpu=NAME"`: the TPU of this machine or of that
            name. `"auto"`: the strategy whose scope one is in, else a TPU, else `"mirrored"` where there is
            more than one GPU, else `"one_device"`. Or a `tf.distribute.Strategy` of your own.

    Raises:
        InvalidArgumentError: it is none of these, another one is in use, or there is no such device;
            `keras.distribution` does nothing on TensorFlow.
        WorkerError: another process of a multi-worker run does not come or does not fit.
    """
    return choose(strategy).strategy


def choose(strategy: str | tf.distribute.Strategy = "auto") -> Choice:
    """Return what `resolve` does, with the reason."""
    choice = _choice(strategy)
    logger.info("strategy: %s", choice.reason)
    return choice


def _choice(strategy: Any) -> Choice:
    if isinstance(strategy, tf.distribute.Strategy):
        _supported(strategy)
        return Choice(strategy, f"{_words(strategy)}, as given")
    if isinstance(strategy, keras.distribution.DataParallel | keras.distribution.ModelParallel):
        raise InvalidArgumentError(
            f"keras.distribution.{type(strategy).__name__} has no effect on the TensorFlow backend. Pass "
            'strategy="mirrored" or a tf.distribute.Strategy.'
        )
    kind, name = _kind(strategy)
    if tf.distribute.has_strategy():
        current = tf.distribute.get_strategy()
        if strategy == "auto":
            _supported(current)
            return Choice(current, f"{_words(current)}, because its scope is open")
        raise InvalidArgumentError(
            f'strategy="{strategy}" inside the scope of {type(current).__name__} is ambiguous. '
            'Leave the scope or pass strategy="auto".'
        )
    if kind == "multi_worker":
        made = workers.multi_worker()
        return Choice(made, f"{_words(made)}, as asked")
    _require_no_group(str(strategy))
    workers.grow_memory()
    if kind == "tpu" or (kind == "auto" and _has_tpu()):
        tpu = _tpu(name)
        return Choice(tpu, f"{_words(tpu)}, {'as asked' if kind == 'tpu' else 'because there is one'}")
    return _on_this_machine(kind)


def _on_this_machine(kind: str) -> Choice:
    """Return `"one_device"`, `"mirrored"`, or which of the two `"auto"` is."""
    gpus = tf.config.list_logical_devices("GPU")
    if kind == "mirrored" or (kind == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        mirrored = _mirrored(tuple(device.name for device in devices))
        return Choice(mirrored, f"{_words(mirrored)}, {_why(kind, 'there is more than one GPU')}")
    # The default strategy places as OneDeviceStrategy does, without its layer of indirection.
    default = tf.distribute.get_strategy()
    found = "there is one GPU" if len(gpus) == 1 else "asked" if gpus else "there is no GPU"
    return Choice(default, f"{_words(default)}, {_why(kind, found)}")


def _why(kind: str, reason: str) -> str:
    return f"because {reason}" if kind == "auto" else "as asked"


def _words(strategy: tf.distribute.Strategy) -> str:
    """Return a strategy in words, such as `"mirrored over 2 GPU"`."""
    told = describe(strategy)
    device = strategy.extended.worker_devices[0] if told["replicas"] > 1 else ""
    if device:
        kind = tf.DeviceSpec.from_string(device).device_type
        return f"{told['name']} over {told['replicas']} {kind}"
    gpus = tf.config.list_logical_devices("GPU")
    return f"{told['name']} on {'GPU' if gpus else 'CPU'}"


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """Return the strategy of these devices: two in one process get in each other's collectives' way."""
    return tf.distribute.MirroredStrategy(list(devices))


def _has_tpu() -> bool:
    return bool(os.environ.get(_TPU_NAME) or tf.config.list_physical_devices("TPU"))


@functools.cache
def _tpu(name: str | None) -> tf.distribute.TPUStrategy:
    """Return the strategy of a TPU: that of this machine or of the environment without a name."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=name or os.environ.get(_TPU_NAME) or "local"
        )
        if name is not None and name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidArgumentError(
            f"There is no TPU {name or 'on this machine'} that answers ({type(error).__name__}: {reason}). "
            'Name it as strategy="tpu=NAME", or pass strategy="auto".'
        ) from error


def describe(strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Return what `run.json` says about a strategy: its name and number of replicas."""
    names = (kind.__name__ for kind in type(strategy).__mro__)
    name = next((_SHORT[name] for name in names if name in _SHORT), type(strategy).__name__)
    return {"name": name, "replicas": strategy.num_replicas_in_sync}


def check_single_process(caller: str, strategy: Any) -> None:
    """Raise where a strategy is one of several processes, or unknown by name.

    Args:
        caller: what trains in one process, which the error names.
        strategy: as `resolve` takes it.
    """
    if isinstance(strategy, tf.distribute.Strategy):
        several = workers.group_of(strategy) is not None
    else:
        several = _kind(strategy)[0] == "multi_worker"
    if several:
        raise InvalidArgumentError(
            f'{caller}: strategy="multi_worker" is for single runs. Take another strategy, and run the best '
            "values in several processes afterwards: tfopt run RECIPE --strategy multi_worker --set "
            "NAME=VALUE."
        )


def _kind(strategy: Any) -> tuple[str, str | None]:
    """Return which of `NAMES` is asked for, and the name of a TPU, if any.

    Raises:
        InvalidArgumentError: none of them.
    """
    kind, separator, name = strategy.partition("=") if isinstance(strategy, str) else ("", "", "")
    if kind not in NAMES or (separator and (kind != "tpu" or not name)):
        raise InvalidArgumentError(
            f"Unknown strategy {strategy!r}; choose from {', '.join(NAMES)}[=NAME] or pass a "
            "tf.distribute.Strategy."
        )
    return kind, name or None


def _supported(strategy: tf.distribute.Strategy) -> None:
    """Raise where runs cannot train under a strategy."""
    refused = (
        tf.distribute.ParameterServerStrategy,
        tf.distribute.experimental.ParameterServerStrategy,
    )
    if isinstance(strategy, refused):
        raise InvalidArgumentError(
            f"{type(strategy).__name__} is not supported: Keras 3 cannot train under it. Use "
            'strategy="mirrored" or "multi_worker".'
        )
    if workers.group_of(strategy) is None:
        _require_no_group(type(strategy).__name__)


def _require_no_group(asked: str) -> None:
    """Raise where this process has joined others: it trains with them or not at all."""
    group = workers.started()
    if group is not None:
        raise InvalidArgumentError(
            f"This process is worker {group.cluster.index} of a multi-worker run, and strategy {asked!r} "
            "would be a second one: start another process for that."
        )
