"""Trials in processes of their own on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import tfopt
from tfopt.search.executors.messages import Request, Runner, from_hyperparameters, result_of
from tfopt.search.executors.slot import Slot
from tfopt.search.failures import ProcessDiedError
from tfopt.search.foresight import Foresight

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run
    from tfopt.run.owners import Owner

_TAIL = 20_000
"""So many bytes of what a process wrote at last are kept where it died."""


class Child:
    """A process that serves requests, one at a time; it ends with this one, however this one ends.

    Args:
        environment: what is added to this process's.
        log: where what it prints goes; nowhere that is kept, by default.
        inherited: a file that it holds open as long as it lives.
    """

    def __init__(
        self, environment: Mapping[str, str], log: Path | None = None, inherited: IO[Any] | None = None
    ) -> None:
        root = str(Path(tfopt.__file__).parents[1])
        found = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        # A file, for an unread pipe would fill up and block.
        self._log = open(log, "ab+") if log else tempfile.TemporaryFile()  # noqa: SIM115 (lives as long)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tfopt.search.executors.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(found), **environment},
            text=True,
            encoding="utf-8",
            pass_fds=[inherited.fileno()] if inherited and os.name != "nt" else (),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def ask(self, request: Request) -> dict[str, Any]:
        """Return the reply to a request.

        Raises:
            ProcessDiedError: the process ended instead.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = os.fstat(self._log.fileno()).st_size
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request.to_json() + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            code = self._process.wait()
            self._log.seek(max(before, os.fstat(self._log.fileno()).st_size - _TAIL))
            raise ProcessDiedError(code, self._log.read().decode(errors="replace"))
        reply: dict[str, Any] = json.loads(line)
        return reply

    def kill(self) -> None:
        """End it, and what it started."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()


class RemoteSlot(Slot):
    """A slot whose trials run elsewhere: it sends requests and reads replies.

    Args:
        runner: what runs the trials there.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @abstractmethod
    def ask(self, request: Request) -> dict[str, Any]:
        """Return the reply to a request.

        Raises:
            ProcessDiedError: the process that it was sent to ended.
        """

    def declare(self) -> keras_tuner.HyperParameters:
        """Return the hyperparameters that are known without running a trial."""
        import keras_tuner

        hyperparameters = keras_tuner.HyperParameters()
        nothing = from_hyperparameters(hyperparameters)
        result_of(self.ask(self._request("declare", hyperparameters=nothing)), hyperparameters)
        return hyperparameters

    def foresee(
        self, hyperparameters: keras_tuner.HyperParameters, limited: Sequence[str]
    ) -> Foresight | None:
        """Return what is known of a trial before it runs."""
        request = self._request(
            "foresee", hyperparameters=from_hyperparameters(hyperparameters), limited=limited
        )
        return Foresight(**result_of(self.ask(request), hyperparameters))

    def run_trial(self, hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        """Run a trial."""
        from tfopt.pipeline import Run

        request = self._request(
            "run_trial",
            hyperparameters=from_hyperparameters(hyperparameters),
            paths=[str(runs.resolve())],
        )
        return Run.load(Path(result_of(self.ask(request), hyperparameters)))

    def measure_latency(self, first: Path, second: Path) -> float:
        """Return the latency of the second file as a ratio to the first one's."""
        request = self._request("measure_latency", paths=[str(first.resolve()), str(second.resolve())])
        return float(result_of(self.ask(request)))

    def _request(self, call: str, **kwargs: Any) -> Request:
        return Request(runner=self._runner.made_by, arguments=self._runner.arguments, call=call, **kwargs)


class ProcessSlot(RemoteSlot):
    """Runs trials in a process of its own, one after another; after one that failed, in a new process.

    Importing TensorFlow takes seconds, so trials that end well share a process.

    Args:
        runner: what runs the trials there.
        environment: of the process, beside that of this one: its threads and its GPU.
    """

    def __init__(self, runner: Runner, environment: Mapping[str, str]) -> None:
        super().__init__(runner)
        self._environment = environment
        self._owner: Owner | None = None
        self._child: Child | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def start(self, owner: Owner) -> None:
        """Begin to work for an owner of trials, whose lock the process inherits."""
        self._owner = owner

    def stop(self) -> None:
        """End the process for good."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()

    def ask(self, request: Request) -> dict[str, Any]:
        """Return the reply of the process to a request."""
        child = self._ready()
        reply: dict[str, Any] = {}
        try:
            reply = child.ask(request)
            return reply
        finally:
            if "result" not in reply:  # memory of a trial that failed may be lost, its state half made
                child.kill()

    def _ready(self) -> Child:
        with self._lock:
            if self._stopped:
                raise ProcessDiedError(-signal.SIGTERM, "The search was ended.")
            if self._child is None or not self._child.alive:
                owner = self._owner
                log, inherited = (owner.log, owner.lock.file) if owner else (None, None)
                self._child = Child(self._environment, log, inherited)
            return self._child
