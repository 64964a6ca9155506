"""The processes of a multi-worker run as one group: who is there, what they tell each other, and who has
gone.

TensorFlow's collectives carry the tensors of a training. What they cannot do is done here, over one
connection
from each worker to the chief: wait for hosts with a time limit, compare what the processes are about to run,
hand out files, and say which process died, and why, to the others, which would otherwise wait for it.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tfopt.distribute.frames import Closed, receive, send
from tfopt.distribute.tf_config import Cluster
from tfopt.errors import WorkerError

_DATA, _STOPPED, _BYE = "data", "stopped", "bye"
AGAIN = "Run the same command on every worker again: the run continues from its last saved state."


class ProcessGroup:
    """This process among those of a multi-worker run.

    Args:
        cluster: all of them.
        connections: index -> connection: of the chief to every worker, of a worker to the chief (0).

    Attributes:
        cluster: all processes.
        failure: why the group cannot go on; `None` while it can.
        running: whether a run is under way, of which nobody may take leave.
    """

    def __init__(self, cluster: Cluster, connections: dict[int, socket.socket]) -> None:
        self.cluster = cluster
        self.failure: str | None = None
        self.running = False
        self._connections = connections
        self._received: dict[int, queue.Queue] = {index: queue.Queue() for index in connections}
        self._sending = {index: threading.Lock() for index in connections}
        self._failing = threading.Lock()
        self._failed = threading.Event()
        self._on_failure: Callable[[str], object] | None = None
        self._closed = False
        for index, connection in connections.items():
            connection.settimeout(None)
            threading.Thread(target=self._listen, args=(index, connection), daemon=True).start()

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.cluster.is_chief

    def when_it_fails(self, call: Callable[[str], object]) -> None:
        """Call `call(reason)`, in a thread of the group's, when another process is gone."""
        with self._failing:
            self._on_failure, failure = call, self.failure
        if failure is not None:
            call(failure)

    def broadcast(self, value: Any = None, payload: bytes = b"") -> tuple[Any, bytes]:
        """Return, in every process, what the chief gives: a JSON value and bytes.

        Raises:
            WorkerError: another process is gone.
        """
        if not self.is_chief:
            return self._take(0)
        self._check()
        for index in self._connections:
            self._send(index, _DATA, value, payload)
        return value, payload

    def gather(self, value: Any) -> list[Any]:
        """Return to the chief the JSON values of all processes in order, and to a worker its own.

        Raises:
            WorkerError: another process is gone.
        """
        self._check()
        if not self.is_chief:
            self._send(0, _DATA, value)
            return [value]
        return [value, *(self._take(index)[0] for index in sorted(self._connections))]

    def barrier(self) -> None:
        """Return when all processes have come here.

        Raises:
            WorkerError: another process is gone.
        """
        self.gather(None)
        self.broadcast()

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """Tell the others when this process ends a run by an error, and why."""
        self._check()
        self.running = True
        try:
            yield
        except BaseException as error:
            self.stop(f"{' '.join(str(error).split()) or type(error).__name__}")
            raise
        finally:
            self.running = False

    def stop(self, reason: str) -> None:
        """Tell the others that this process ends, and why; nothing where the group has failed already."""
        if self.failure is None and not self._closed:
            self._closed = True
            for index in self._connections:
                self._send_quietly(index, _STOPPED, reason)

    def close(self) -> None:
        """Leave the group in order: the others do not take it for a failure."""
        if not self._closed:
            self._closed = True
            for index in self._connections:
                self._send_quietly(index, _BYE)

    def explanation(self, seconds: float = 20.0) -> str | None:
        """Return why the group failed, and wait so long for it: collectives fail a moment earlier."""
        self._failed.wait(seconds)
        return self.failure

    def _check(self) -> None:
        if self.failure is not None:
            raise WorkerError(self.failure)

    def _take(self, index: int) -> tuple[Any, bytes]:
        found = self._received[index].get()
        if found is None:
            self._received[index].put(None)
            raise WorkerError(self.failure or f"{self._name(index)} has left the run. {AGAIN}")
        return found

    def _send(self, index: int, kind: str, value: Any = None, payload: bytes = b"") -> None:
        try:
            with self._sending[index]:
                send(self._connections[index], kind, value, payload)
        except Closed:
            self._fail(index, None)
            self._check()

    def _send_quietly(self, index: int, kind: str, value: Any = None) -> None:
        """Send a last message; whoever is gone does not need it."""
        try:
            with self._sending[index]:
                send(self._connections[index], kind, value)
        except Closed:
            self._received[index].put(None)

    def _listen(self, index: int, connection: socket.socket) -> None:
        """Receive what a process sends until it is gone."""
        while True:
            try:
                kind, value, payload = receive(connection)
            except Closed:
                return self._fail(index, None)
            if kind == _DATA:
                self._received[index].put((value, payload))
            elif kind == _STOPPED:
                return self._fail(index, str(value))
            elif self.running:
                return self._fail(index, "it left before the run was complete.")
            else:
                return self._received[index].put(None)

    def _fail(self, index: int, reason: str | None) -> None:
        """Note that a process is gone, tell the others, and wake up who waits for it."""
        with self._failing:
            if self.failure is not None or self._closed:
                self._received[index].put(None)
                return
            self.failure = self._sentence(index, reason)
            call = self._on_failure
        for each, waiting in self._received.items():
            if each != index:
                self._send_quietly(each, _STOPPED, self.failure)
            waiting.put(None)
        self._failed.set()
        if call is not None:
            call(self.failure)

    def _sentence(self, index: int, reason: str | None) -> str:
        if reason is not None and reason.startswith("Worker "):  # what the chief says of another worker
            return reason
        if reason is not None:
            return f"{self._name(index)} stopped: {reason}"
        return (
            f"{self._name(index)} is gone: its process was killed, or its machine is down or out of reach. "
            f"{AGAIN}"
        )

    def _name(self, index: int) -> str:
        return f"Worker {index} ({self.cluster.hosts[index]}{', the chief' if index == 0 else ''})"
