"""The converter and the first run of a file in a process of its own, kept alive from one to the next.

The TFLite converter is C++ that crashes with a segmentation fault on some models, and would take a day's
training with it. Importing TensorFlow takes seconds, so one child serves all conversions of its parent.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, ClassVar, cast

from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.inputs_outputs import OPEN_SIZE


class ConverterDiedError(ConversionError):
    """The converter's process crashed or was killed; another attempt may end likewise."""


WORKER = Path(__file__).with_name("worker.py")

ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",  # a conversion needs no GPU, and TensorFlow would take all its memory
    "TF_CPP_MIN_LOG_LEVEL": "2",
}

_NOISE = re.compile(r"^([WI]\d{4}|WARNING|INFO|To enable|\s*$)|cuda|cuInit|warn", re.IGNORECASE)


class ChildEnded(Exception):
    """The child ended during a request.

    Attributes:
        how: such as `"SIGABRT"` or `"exit code 1"`.
        said: its last lines on the error output.
    """

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code)
        self.how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self.said = said


class ConverterProcess:
    """A child process that converts frozen graphs and runs files for the first time, one at a time.

    Use `ConverterProcess.request` and `run`.

    The child ends with its parent, however that ends: the pipe to its input closes then.
    """

    _shared: ClassVar[ConverterProcess | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._owner = os.getpid()
        # A file, for an unread pipe would fill up and block.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the child)
        self._child = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | ENVIRONMENT,
            text=True,
        )
        self._requests = cast(IO[str], self._child.stdin)
        self._replies = cast(IO[str], self._child.stdout)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs and is this process's own, not one inherited through a fork."""
        return self._owner == os.getpid() and self._child.poll() is None

    @classmethod
    def request(cls, request: dict[str, Any]) -> None:
        """Have the shared child convert, starting it first where it does not run.

        Raises:
            ConversionError: the converter refused the model, or crashed.
        """
        try:
            error = cls._served(request)
        except ChildEnded as ended:
            raise ConverterDiedError(
                f"The TFLite converter crashed ({ended.how}) in a subprocess. Known causes: too little "
                "memory (SIGKILL); its int8 calibration of some large models (leave engine out, or use "
                f"tfopt.quantize_aware, scheme='dynamic' or 'float16'). Its last output: {ended.said}"
            ) from ended
        if error:
            raise ConversionError(f"The TFLite converter refused the model: {_short(error)}")

    @classmethod
    def run(cls, path: Path, samples: Path | None = None) -> str:
        """Have the shared child run a file; return why LiteRT cannot, `""` where it can.

        Args:
            path: of the file.
            samples: of an .npz file with one array an input.

        Raises:
            ChildEnded: LiteRT ended the child. The next request starts another.
        """
        return cls._served(
            {
                "run": str(path),
                "samples": None if samples is None else str(samples),
                "open_size": OPEN_SIZE,
            }
        )

    @classmethod
    def _served(cls, request: dict[str, Any]) -> str:
        with cls._lock:
            if cls._shared is None or not cls._shared.alive:
                cls._shared = cls()
            return cls._shared._reply(request)

    @classmethod
    def stop(cls) -> None:
        """End the shared child, if there is one; the next request starts another."""
        if cls._shared is not None and cls._shared.alive:
            cls._shared._end()
        cls._shared = None

    def _reply(self, request: dict[str, Any]) -> str:
        """Return the error that the child replies with, `""` for none."""
        start = os.fstat(self._errors.fileno()).st_size
        try:
            line = self._ask(json.dumps(request))
        except BaseException:
            # A reply that comes later would be taken for the next request's.
            self._end()
            raise
        if not line:
            death = self._death(start)
            self._end()
            raise death
        return str(json.loads(line).get("error", ""))

    def _ask(self, line: str) -> str:
        try:
            self._requests.write(line + "\n")
            self._requests.flush()
        except BrokenPipeError:
            return ""
        return self._replies.readline()

    def _death(self, start: int) -> ChildEnded:
        code = self._child.wait()
        os.lseek(self._errors.fileno(), start, os.SEEK_SET)
        lines = self._errors.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if not _NOISE.search(line)][-4:]
        return ChildEnded(code, " | ".join(said) or "nothing")

    def _end(self) -> None:
        self._child.kill()
        self._child.wait()
        self._errors.close()
        # Closing writes out what the child has not read.
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        self._replies.close()


atexit.register(ConverterProcess.stop)


def _short(message: str) -> str:
    """Return the lines of a converter's message that name a cause: MLIR prints whole graphs around them."""
    causes = re.findall(r"error: (.+)", message) or [line for line in message.splitlines() if line.strip()]
    text = " | ".join(dict.fromkeys(cause.strip() for cause in causes[:3]))
    return text if len(text) <= 600 else text[:600] + "..."
