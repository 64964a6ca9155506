"""TensorFlow's start-up messages, kept from who uses the command line.

TensorFlow 2.21 writes to standard error before its own log level counts: that it uses oneDNN, that there is
no GPU. `TF_CPP_MIN_LOG_LEVEL` does not stop that, so standard error itself is held back while TensorFlow
starts. Setting the variable oneself shows everything.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import ModuleType

VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_STDERR = 2


def quiet_tensorflow() -> None:
    """Keep TensorFlow quiet in this process, from its import on, whenever that will be."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = "2"
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as ever, but wraps the execution of its module. Works once."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (importlib's signature)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                with _standard_error_held_back():
                    execute(module)
                    # The first look for devices complains where there is no GPU.
                    module.config.list_physical_devices()

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
