"""Whose fault it is that a trial failed: its own, or the machine's; and what is run again."""

from __future__ import annotations

import errno
import logging
import signal
import traceback as tracebacks
from collections.abc import Callable, Iterator
from typing import TypeVar

from tfopt.errors import RunError, TfoptError

T = TypeVar("T")

logger = logging.getLogger(__name__)

_OF_THE_MACHINE = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EROFS", "EIO", "ENFILE", "EMFILE", "ENOMEM", "EAGAIN"),
        *("ESTALE", "ENODEV", "ENXIO", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
}
"""A full or vanished disk, too many open files, no memory for another process, a lost network."""

_FROM_OUTSIDE = {"SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGXCPU"}
"""Signals that a process does not get for what it computes."""

_REFUSALS, _KILLS = 2, 3
"""How often a trial is run in all that the machine refuses, or whose process is killed."""


class MachineError(RunError):
    """A trial could not be run where the search runs; it is no result."""


class TrialProcessError(RunError):
    """A trial failed in a process of its own.

    Args:
        reason: in one line.
        traceback: of the error there.
        of_the_machine: whether the machine failed, not the trial.
    """

    def __init__(self, reason: str, traceback: str, *, of_the_machine: bool = False) -> None:
        super().__init__(reason)
        self.traceback = traceback
        self.of_the_machine = of_the_machine


class ProcessDiedError(RunError):
    """The process of a trial ended before the trial did.

    Args:
        code: as `subprocess` returns it: the exit code, or less than 0 for a signal.
        output: the last lines that it wrote, with the stack where Python could tell it.
    """

    def __init__(self, code: int, output: str) -> None:
        self.code, self.output = code, output
        if code < 0:
            self.signal = signal.Signals(-code).name
        else:  # as a shell, a container and Ray tell it
            self.signal = signal.Signals(code - 128).name if code - 128 in set(signal.Signals) else ""
        hint = ", as the system does when memory runs out" if self.signal == "SIGKILL" else ""
        how = f"was ended by {self.signal}{hint}" if self.signal else f"ended with exit code {code}"
        super().__init__(f"The process of the trial {how}.")
        self.traceback = f"{self}\n\n{output}"

    @property
    def from_outside(self) -> bool:
        """Whether somebody, or the system, ended the process, so that another attempt may do better."""
        return self.signal in _FROM_OUTSIDE


def is_of_the_machine(error: BaseException) -> bool:
    """Return whether the system refused something that has nothing to do with the values of a trial."""
    return any(
        (isinstance(each, OSError) and each.errno in _OF_THE_MACHINE)
        or (isinstance(each, TrialProcessError) and each.of_the_machine)
        for each in _causes(error)
    )


def reason(error: BaseException) -> str:
    """Return why a trial failed, in one line; a defect keeps the name of its kind."""
    line = next(iter(str(error).strip().splitlines()), "")
    return line if isinstance(error, TfoptError) and line else f"{type(error).__name__}: {line}".rstrip(": ")


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error, that in the process of the trial where it has one."""
    if isinstance(error, TrialProcessError | ProcessDiedError):
        return error.traceback
    return "".join(tracebacks.format_exception(error))


def run_again_where_it_may_help(run: Callable[[], T], number: int, goes_on: Callable[[], bool]) -> T:
    """Run a trial; again where the machine failed or its process was killed. It resumes at its last epoch.

    Args:
        run: runs it.
        number: of the trial.
        goes_on: whether the search does; else what was killed stays so.

    Raises:
        MachineError: the machine failed twice.
        ProcessDiedError: the process was killed three times, or died by itself.
    """
    refusals = kills = 0
    while True:
        try:
            return run()
        except Exception as error:
            killed = isinstance(error, ProcessDiedError) and error.from_outside
            refused = is_of_the_machine(error)
            refusals, kills = refusals + refused, kills + killed
            if not goes_on() or not (killed or refused) or kills == _KILLS:
                raise
            if refusals == _REFUSALS:
                raise MachineError(
                    f"Trial {number} cannot be run on this machine: {reason(error).rstrip('.')}. When "
                    "that is mended, the same command goes on with this trial."
                ) from error
            logger.warning("trial %d runs again: %s", number, reason(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
