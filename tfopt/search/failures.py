"""Whose fault it is that a trial failed: its own, or the machine's."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from tfopt.errors import RunError, TfoptError

_OF_THE_MACHINE = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EROFS", "EIO", "ENFILE", "EMFILE", "ENOMEM", "EAGAIN"),
        *("ESTALE", "ENODEV", "ENXIO", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
}
"""A full or vanished disk, too many open files, no memory for another process, a lost network."""


class MachineError(RunError):
    """A trial could not be run where the search runs; it is no result."""


def is_of_the_machine(error: BaseException) -> bool:
    """Return whether the system refused something that has nothing to do with the values of a trial."""
    return any(isinstance(each, OSError) and each.errno in _OF_THE_MACHINE for each in _causes(error))


def reason(error: BaseException) -> str:
    """Return why a trial failed, in one line; a defect keeps the name of its kind."""
    line = next(iter(str(error).strip().splitlines()), "")
    return line if isinstance(error, TfoptError) and line else f"{type(error).__name__}: {line}".rstrip(": ")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
