"""`tfopt.distribute.multi_worker`: the strategy of a run in several processes, on one machine or many."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import platform
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt import _validation
from tfopt._version import __version__
from tfopt.distribute import _tensorflow
from tfopt.distribute.process_group import ProcessGroup
from tfopt.distribute.rendezvous import gathered
from tfopt.distribute.tf_config import TF_CONFIG, Cluster
from tfopt.errors import InvalidArgumentError, WorkerError

logger = logging.getLogger(__name__)

TIMEOUT = 300.0


def multi_worker(
    hosts: str | Sequence[str] | None = None,
    worker: int | None = None,
    *,
    cluster_resolver: tf.distribute.cluster_resolver.ClusterResolver | None = None,
    timeout: float = TIMEOUT,
) -> tf.distribute.Strategy:
    """Return the strategy of several processes that train together, when all of them are there.

    Call it before anything else of TensorFlow runs in the process. Called again with the same hosts, it
    returns the same strategy.

    Args:
        hosts: `"address:port"` of every process, the chief first, as a list or as one text with commas; by
            default those of `TF_CONFIG`.
        worker: the number of this process among them, from 0.
        cluster_resolver: tells hosts and worker instead, such as
            `tf.distribute.cluster_resolver.SlurmClusterResolver()`.
        timeout: seconds to wait for the others, above 0.

    Raises:
        InvalidArgumentError: hosts or `TF_CONFIG` are no cluster, TensorFlow is in use already, or this
            process belongs to another cluster.
        WorkerError: a host does not answer in time, or has other hosts or versions.
    """
    _validation.number("multi_worker", "timeout", timeout, above=0)
    cluster = _cluster(hosts, worker, cluster_resolver)
    if _STARTED:
        strategy, group = _STARTED[0]
        if group.cluster != cluster:
            raise InvalidArgumentError(
                f"This process is worker {group.cluster.index} of {', '.join(group.cluster.hosts)} already: "
                "start another process for another cluster."
            )
        return strategy
    if _tensorflow.has_started():
        raise InvalidArgumentError(
            "TensorFlow has run something in this process already, and a worker must join the others before "
            "that: call tfopt.distribute.multi_worker(...) first; with a recipe, run `tfopt run RECIPE "
            "--strategy multi_worker`."
        )
    grow_memory()
    group = gathered(cluster, versions(), timeout)
    try:
        strategy = _strategy(cluster)
    except BaseException as error:
        group.stop(str(error).splitlines()[0])
        raise
    group.when_it_fails(_tensorflow.abort_collectives)
    atexit.register(group.close)
    _STARTED.append((strategy, group))
    logger.info("worker %d of %d, %s", cluster.index, len(cluster.hosts), cluster.hosts[cluster.index])
    return strategy


_STARTED: list[tuple[tf.distribute.Strategy, ProcessGroup]] = []
"""The one strategy of several processes that a process can have, and its group."""


def group_of(strategy: tf.distribute.Strategy) -> ProcessGroup | None:
    """Return the processes that train under a strategy together with this one; `None` where it is alone.

    Raises:
        InvalidArgumentError: `tfopt.distribute.multi_worker` did not make a strategy of several processes.
    """
    for started, group in _STARTED:
        if started is strategy:
            return group
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and _tensorflow.task_of(strategy):
        raise InvalidArgumentError(
            "tfopt runs in several processes under tfopt.distribute.multi_worker(hosts, worker), which also "
            'tells the others when one dies: pass what it returns, or strategy="multi_worker", in place of '
            "a MultiWorkerMirroredStrategy of your own (cluster_resolver= takes its resolver)."
        )
    return None


def taking_part(strategy: tf.distribute.Strategy) -> contextlib.AbstractContextManager[None]:
    """Return the context of a run: whoever leaves it by an error tells the other processes why."""
    group = group_of(strategy)
    return contextlib.nullcontext() if group is None else group.run()


def started() -> ProcessGroup | None:
    """Return the group that this process has joined, if any."""
    return _STARTED[0][1] if _STARTED else None


def grow_memory() -> None:
    """Let TensorFlow take memory of GPUs as it needs it, where it has not begun with them."""
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            logger.debug("%s is in use already: its memory is taken as it was", gpu.name)


def versions() -> dict[str, str]:
    """Return the versions that must be the same in all processes."""
    return {
        "tfopt": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def _cluster(hosts: Any, worker: Any, resolver: Any) -> Cluster:
    if resolver is not None:
        tasks = resolver.cluster_spec().as_dict()
        return Cluster.of_tasks(tasks, resolver.task_type, resolver.task_id)
    if hosts is None and worker is None:
        return Cluster.of_environment()
    if hosts is None or worker is None:
        raise InvalidArgumentError(
            "multi_worker takes hosts and worker together: all addresses, and which of them this process is "
            f"(--hosts a:2222,b:2222 --worker 0); or neither, for those of {TF_CONFIG}."
        )
    return Cluster.of_hosts(hosts, worker)


def _strategy(cluster: Cluster) -> tf.distribute.Strategy:
    """Return TensorFlow's strategy of a cluster; it reads the cluster from the environment or a resolver."""
    spec = tf.train.ClusterSpec({"worker": [*cluster.hosts]})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec, task_type="worker", task_id=cluster.index, rpc_layer="grpc"
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise WorkerError(
            f"TensorFlow cannot start worker {cluster.index} at {cluster.hosts[cluster.index]}: {reason}. "
            f"See that no other process uses its port (process {os.getpid()})."
        ) from error
