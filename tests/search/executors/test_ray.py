"""Trials on a Ray cluster of this machine, with runs that are made up."""

import os
import signal
import threading
import time

import pytest

from tests.search.executors.test_processes import RUNNER
from tfopt.search.conduct import conduct
from tfopt.search.executors.ray import ray_slots
from tfopt.search.failures import ProcessDiedError, TrialProcessError
from tfopt.search.goals.goal import Goal
from tfopt.search.journal import Journal
from tfopt.search.spending import Spending

ray = pytest.importorskip("ray")
# A cluster takes half a minute to start. What a slot does with replies is tested with processes, too.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slots():
    with ray_slots(RUNNER, workers=2, address=None, resources={"CPU": 0.5}) as made:
        yield made


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(tmp_path, slots):
    """Ray begins its trial again on another worker, and the search does not notice."""
    runs = tmp_path / "trials"
    killed = []

    def kill_one_and_go_on():
        while len(began := [*runs.glob("began-*")]) < 2:
            time.sleep(0.05)
        child, worker = (int(began[0].name.removeprefix("began-")), int(began[0].read_text()))
        os.kill(worker, signal.SIGKILL)
        while len([*runs.glob("began-*")]) < 3:
            time.sleep(0.05)
        killed.append(child)
        (runs / "go").touch()

    thread = threading.Thread(target=kill_one_and_go_on)
    thread.start()
    record = conduct(
        Journal(tmp_path, Goal.of(minimize="bytes"), {"name": "fake"}),
        spending=Spending(trials=3),
        seed=0,
        slots=slots,
        runs=runs,
        sampler="random",
    )
    thread.join()
    assert [trial.status for trial in record.trials] == ["complete"] * 3
    assert len({trial.values["width"] for trial in record.trials}) == 3
    assert record.trials[0].values == {"width": 16}
    assert record.baseline.trial == 1
    assert not os.path.exists(f"/proc/{killed[0]}"), "the trial of the killed worker went on beside"


def test_how_trials_fail_is_told(tmp_path, slots):
    assert slots[0].measure_latency(tmp_path, tmp_path / "well") == 2.0
    with pytest.raises(TrialProcessError, match=r"ValueError: It would not\.$") as raised:
        slots[0].measure_latency(tmp_path, tmp_path / "error")
    assert "measure_latency" in raised.value.traceback
    with pytest.raises(ProcessDiedError, match="SIGSEGV") as died:
        slots[1].measure_latency(tmp_path, tmp_path / "segfault")
    assert "in measure_latency" in died.value.traceback
