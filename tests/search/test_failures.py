"""Whose fault a failure is, and what runs again."""

import errno

import pytest

from tfopt.errors import RunError
from tfopt.search.failures import (
    MachineError,
    ProcessDiedError,
    TrialProcessError,
    is_of_the_machine,
    reason,
    run_again_where_it_may_help,
    traceback_of,
)


def full_disk():
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        try:
            raise RunError("Cannot write model.keras: No space left on device.") from error
        except RunError as told:
            return told


def outcome(*errors, goes_on=True):
    """Return how a trial ends that raises these errors one after another, and how many of them came."""
    left = list(errors)

    def run():
        if left:
            raise left.pop(0)
        return "done"

    try:
        result = run_again_where_it_may_help(run, 7, lambda: goes_on)
    except RunError as error:
        result = error
    return result, len(errors) - len(left)


def test_what_the_machine_refuses_runs_twice():
    assert outcome(full_disk()) == ("done", 1)
    result, count = outcome(full_disk(), full_disk(), full_disk())
    assert isinstance(result, MachineError)
    assert count == 2
    assert "Trial 7 cannot be run on this machine: Cannot write model.keras: No space left" in str(result)
    elsewhere = TrialProcessError("No space left.", "", of_the_machine=True)
    assert outcome(elsewhere) == ("done", 1)


def test_what_is_killed_runs_three_times_and_what_crashes_once():
    killed, crashed = ProcessDiedError(-9, "x"), ProcessDiedError(-11, "x")
    assert outcome(killed, killed) == ("done", 2)
    assert outcome(killed, killed, killed) == (killed, 3)
    assert outcome(crashed) == (crashed, 1)
    assert outcome(killed, goes_on=False) == (killed, 1), "the search was ended"
    assert outcome(RunError("It would not."))[1] == 1
    assert outcome(killed, full_disk(), killed) == ("done", 3)


@pytest.mark.parametrize(
    ("error", "line", "of_the_machine"),
    [
        (ValueError("It would not.\nAt all."), "ValueError: It would not.", False),
        (RunError("It would not."), "It would not.", False),
        (TrialProcessError("KeyError: 'x'", "there"), "KeyError: 'x'", False),
        (MemoryError(), "MemoryError", False),
        (FileNotFoundError(errno.ENOENT, "No such file"), "FileNotFoundError: [Errno 2] No such file", False),
        (OSError(errno.EMFILE, "Too many"), "OSError: [Errno 24] Too many", True),
        (ProcessDiedError(134, ""), "The process of the trial was ended by SIGABRT.", False),
        (ProcessDiedError(1, ""), "The process of the trial ended with exit code 1.", False),
    ],
)
def test_reasons(error, line, of_the_machine):
    assert reason(error) == line
    assert is_of_the_machine(error) == of_the_machine


def test_tracebacks_are_those_of_the_process_that_failed():
    assert traceback_of(TrialProcessError("no", "Traceback there")) == "Traceback there"
    assert "Fatal" in traceback_of(ProcessDiedError(-11, "Fatal Python error"))
    assert "RunError" in traceback_of(full_disk())
