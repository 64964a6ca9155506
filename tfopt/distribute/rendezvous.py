"""Waiting for all processes of a multi-worker run, before TensorFlow does, which waits for an hour."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from tfopt.distribute.frames import Closed, receive, send
from tfopt.distribute.process_group import ProcessGroup
from tfopt.distribute.tf_config import Cluster
from tfopt.errors import WorkerError

_PAUSE = 0.1
_ANSWER = 10.0
"""Seconds that a process which has connected has to say who it is."""


def gathered(cluster: Cluster, versions: dict[str, str], timeout: float) -> ProcessGroup:
    """Return the group of all processes of `cluster`, when they are there.

    The chief listens at its own address and leaves it to TensorFlow afterwards; the connections stay.

    Args:
        cluster: the processes.
        versions: of what must be the same everywhere.
        timeout: seconds to wait for the others, above 0.

    Raises:
        WorkerError: one does not come in time, or comes with other hosts or versions.
    """
    hello = {"index": cluster.index, "hosts": [*cluster.hosts], "versions": versions}
    deadline = time.monotonic() + timeout
    if cluster.is_chief:
        return ProcessGroup(cluster, _accepted(cluster, hello, deadline, timeout))
    return ProcessGroup(cluster, {0: _connected(cluster, hello, deadline, timeout)})


def _accepted(
    cluster: Cluster, hello: dict[str, Any], deadline: float, timeout: float
) -> dict[int, socket.socket]:
    """Return index -> connection of all workers."""
    found: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listener(cluster.hosts[0]))
        while len(found) < len(cluster.hosts) - 1:
            listener.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                missing = [h for i, h in enumerate(cluster.hosts) if i and i not in found]
                raise WorkerError(
                    f"No answer from {', '.join(missing)} within {timeout:g} s: start the same command "
                    f"there, with its own --worker number, and see that it reaches {cluster.hosts[0]}."
                ) from None
            stack.enter_context(contextlib.closing(connection))
            connection.settimeout(_ANSWER)
            try:
                _, theirs, _ = receive(connection)
            except Closed:  # a port scan, say
                continue
            problem = _problem(hello, theirs, found)
            if problem:
                for each in (*found.values(), connection):
                    with contextlib.suppress(Closed):
                        send(each, "stopped", problem)
                raise WorkerError(problem)
            found[theirs["index"]] = connection
        for index, connection in found.items():
            try:
                send(connection, "welcome")
            except Closed:
                raise WorkerError(
                    f"{cluster.hosts[index]} was there and is gone: start the same command on every worker "
                    "again."
                ) from None
            _keep_alive(connection)
        stack.pop_all()
        listener.close()
    return found


def _listener(host: str) -> socket.socket:
    port = int(host.rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both
        )
    except OSError as error:
        raise WorkerError(
            f"The chief cannot listen at {host}: {error.strerror or error}. End the process that uses the "
            "port, or give all workers another one."
        ) from error


def _problem(ours: dict[str, Any], theirs: Any, found: dict[int, socket.socket]) -> str | None:
    """Return what keeps a process out of the group."""
    index = theirs["index"]
    if theirs["hosts"] != ours["hosts"]:
        return (
            f"Worker {index} has other hosts ({','.join(theirs['hosts'])}) than the chief "
            f"({','.join(ours['hosts'])}): give all workers the same, in the same order."
        )
    if index in found or index == 0:
        return f"Two processes are worker {index}: give each its own --worker number."
    different = [
        f"{name} {theirs['versions'].get(name)} in place of {version}"
        for name, version in ours["versions"].items()
        if theirs["versions"].get(name) != version
    ]
    if different:
        return (
            f"Worker {index} ({ours['hosts'][index]}) has {', '.join(different)}: install the same versions "
            "everywhere."
        )
    return None


def _connected(cluster: Cluster, hello: dict[str, Any], deadline: float, timeout: float) -> socket.socket:
    """Return the connection to the chief."""
    name, _, port = cluster.hosts[0].rpartition(":")
    last = "no answer"
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise WorkerError(
                f"The chief at {cluster.hosts[0]} does not answer within {timeout:g} s ({last}): start the "
                "same command there with --worker 0, and see that its port can be reached."
            )
        try:
            connection = socket.create_connection((name.strip("[]"), int(port)), min(left, _ANSWER))
        except OSError as error:
            last = error.strerror or str(error) or type(error).__name__
            time.sleep(_PAUSE)
            continue
        try:
            connection.settimeout(left)
            send(connection, "hello", hello)
            kind, value, _ = receive(connection)
        except Closed as error:  # the chief was started again meanwhile, or an old one still holds the port
            last = str(error)
            connection.close()
            time.sleep(_PAUSE)
            continue
        if kind != "welcome":
            connection.close()
            raise WorkerError(str(value))
        _keep_alive(connection)
        return connection


def _keep_alive(connection: socket.socket) -> None:
    """Let the system notice a machine that is down, which closes nothing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
