"""Processes that run trials: what they answer, how they die, and that they never outlive a search."""

import subprocess
import sys
import textwrap
import threading
import time

import pytest

from tfopt.run import owners
from tfopt.run.owners import Owner
from tfopt.search.executors.messages import Runner
from tfopt.search.executors.processes import ProcessSlot
from tfopt.search.failures import ProcessDiedError, TrialProcessError

RUNNER = Runner(made_by="tests.search.executors.fake_runner:FakeRunner", arguments={"ratio": 2.0})


@pytest.fixture
def slot(tmp_path):
    made = ProcessSlot(RUNNER, {"OMP_NUM_THREADS": "3"})
    owner = Owner(tmp_path)
    made.start(owner)
    yield made
    made.stop()
    owner.release()


def wait_for(condition):
    while not condition():
        time.sleep(0.02)


def is_alive(pid):
    """Return whether a process runs; one that nobody waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_process_serves_trials_that_end_well_and_a_new_one_those_after_a_failure(slot, tmp_path):
    assert [slot.measure_latency(tmp_path, tmp_path / "well") for _ in range(2)] == [2.0, 4.0]
    with pytest.raises(TrialProcessError, match=r"^ValueError: It would not\.$") as raised:
        slot.measure_latency(tmp_path, tmp_path / "error")
    assert "measure_latency" in raised.value.traceback
    assert "At all." in raised.value.traceback
    assert not raised.value.of_the_machine
    assert slot.measure_latency(tmp_path, tmp_path / "environment") == 2.0
    assert (tmp_path / "environment").read_text() == "3"
    assert slot.measure_latency(tmp_path, tmp_path / "ignore") == 4.0
    with pytest.raises(TrialProcessError, match="No space left") as raised:
        slot.measure_latency(tmp_path, tmp_path / "disk")
    assert raised.value.of_the_machine


@pytest.mark.parametrize(
    ("how", "message", "from_outside"),
    [
        ("signal-9", "was ended by SIGKILL, as the system does when memory runs out", True),
        ("signal-6", "was ended by SIGABRT", False),
        ("segfault", "was ended by SIGSEGV", False),
        ("exit-3", "ended with exit code 3", False),
        ("exit-137", "was ended by SIGKILL", True),
    ],
)
def test_a_process_that_dies_is_told_with_what_it_said(slot, tmp_path, how, message, from_outside):
    with pytest.raises(ProcessDiedError, match=message) as raised:
        slot.measure_latency(tmp_path, tmp_path / how)
    assert raised.value.from_outside == from_outside
    assert f"measuring {how}" in raised.value.traceback
    if how in ("segfault", "signal-6"):
        assert "in measure_latency" in raised.value.traceback, "the stack of Python"


def test_stopping_ends_what_runs_and_what_that_started(slot, tmp_path):
    failed = []

    def measure():
        try:
            slot.measure_latency(tmp_path, tmp_path / "grandchild")
        except ProcessDiedError as error:
            failed.append(error)

    thread = threading.Thread(target=measure)
    thread.start()
    wait_for(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
    slot.stop()
    thread.join()
    assert len(failed) == 1
    wait_for(lambda: not is_alive((tmp_path / "grandchild").read_text()))
    with pytest.raises(ProcessDiedError):
        slot.measure_latency(tmp_path, tmp_path / "well")


def test_an_owner_lives_as_long_as_its_process(tmp_path):
    slot, owner = ProcessSlot(RUNNER, {}), Owner(tmp_path)
    slot.start(owner)
    slot.measure_latency(tmp_path, tmp_path / "well")
    owner.lock.release()  # as when this process dies a moment before the other one notices
    assert owners.is_alive(tmp_path, owner.name)
    slot.stop()
    assert not owners.is_alive(tmp_path, owner.name)
    owners.bury_dead(tmp_path)
    assert not [*(tmp_path / owners.FOLDER).iterdir()]


def test_a_process_ends_with_its_parent(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tests.search.executors.test_processes import RUNNER
        from tfopt.search.executors.processes import ProcessSlot
        from tfopt.run.owners import Owner

        folder = Path(sys.argv[1])
        slot = ProcessSlot(RUNNER, {})
        slot.start(Owner(folder))
        slot.measure_latency(folder, folder / "grandchild")
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    wait_for(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
    (name,) = owners.living(tmp_path)
    assert is_alive((tmp_path / "grandchild").read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive((tmp_path / "grandchild").read_text()))
    wait_for(lambda: not owners.is_alive(tmp_path, name))
