"""The log of tfopt on standard error, for `--verbose`.

The library logs below `logging.getLogger("tfopt")` and prints nothing. Without the option, the command line
leaves that logger as it is: warnings alone are shown, as Python shows them.
"""

from __future__ import annotations

import logging
import sys
from types import TracebackType

_FORMAT = "%(asctime)s %(name)s: %(message)s"
_LEVELS = (logging.INFO, logging.DEBUG)
"""Once and twice `--verbose`."""


class Log:
    """The log of tfopt, as far as it is shown; a context manager that leaves the logger as it was."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("tfopt")
        self._before = self._logger.level
        self._handler = _StandardError()
        self._verbosity = 0

    def show(self, times: int) -> None:
        """Show more, as often as `--verbose` was given; before and after the command it counts together."""
        if not times:
            return
        self._verbosity += times
        self._logger.setLevel(_LEVELS[min(self._verbosity, len(_LEVELS)) - 1])
        self._logger.addHandler(self._handler)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._before)


class _StandardError(logging.Handler):
    """Writes to what standard error is at the moment: a progress bar moves its lines out of the way."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT, "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 (a log must not end what it tells of)
            self.handleError(record)
