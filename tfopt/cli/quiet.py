"""Start-up messages of TensorFlow and LiteRT, kept from who uses the command line.

TensorFlow 2.21 writes to standard error before its own log level counts: that it uses oneDNN, that there is
no GPU. `TF_CPP_MIN_LOG_LEVEL` does not stop that, so standard error itself is held back while TensorFlow
starts. LiteRT tells of its delegate, in the midst of a progress bar. Setting the variable oneself shows
everything.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_STDERR = 2


def quiet_tensorflow() -> None:
    """Keep TensorFlow and LiteRT quiet in this process, from their import on, whenever that will be."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = "2"
        sys.meta_path[:0] = [_Finder(name, started) for name, started in _STARTED.items()]


def _look_for_devices(tensorflow: ModuleType) -> None:
    """Do now what complains where there is no GPU."""
    tensorflow.config.list_physical_devices()


def _quiet_first_allocation(litert: ModuleType) -> None:
    """Hold back what the first interpreter of the process says of its delegate."""
    allocate_tensors = litert.Interpreter.allocate_tensors

    def first(interpreter: object) -> None:
        litert.Interpreter.allocate_tensors = allocate_tensors
        with _standard_error_held_back():
            allocate_tensors(interpreter)

    litert.Interpreter.allocate_tensors = first


_STARTED: dict[str, Callable[[ModuleType], None]] = {
    "tensorflow": _look_for_devices,
    "ai_edge_litert.interpreter": _quiet_first_allocation,
}
"""Module -> what to do with it at the end of its import."""


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module as ever, but wraps its execution. Works once."""

    def __init__(self, name: str, started: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._started = started

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (importlib's signature)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                with _standard_error_held_back():
                    execute(module)
                    self._started(module)

            spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _standard_error_held_back() -> Iterator[None]:
    """Hold back what C++ writes to standard error; show it only where the block fails."""
    try:
        terminal = os.dup(_STDERR)
    except OSError:  # standard error is closed
        yield
        return
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), _STDERR)
        try:
            yield
        except Exception:
            held_back.seek(0)
            os.write(terminal, held_back.read())
            raise
        finally:
            os.dup2(terminal, _STDERR)
            os.close(terminal)
