"""Several that work on one search at once, with runs that are made up."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import keras_tuner
import pytest

from tests.search.test_recipe_search import FakeRecipe, latency
from tfopt.errors import RunError
from tfopt.run import owners
from tfopt.run.search_folder import read
from tfopt.search.conduct import conduct
from tfopt.search.executors.slot import InProcess
from tfopt.search.failures import ProcessDiedError
from tfopt.search.goals.goal import Goal
from tfopt.search.journal import Journal
from tfopt.search.samplers import make_oracle
from tfopt.search.shared_search import Next, SharedSearch
from tfopt.search.spending import Spending

GOAL = Goal.of(minimize="bytes")


def declare():
    """Return the hyperparameters of `FakeRecipe`."""
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 64, default=16)
    hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2)
    return hp


def run_search(path, *recipes, trials=6, sampler="random", **kwargs):
    return conduct(
        Journal(path, GOAL, {"name": "fake"}),
        spending=Spending(trials=trials),
        seed=0,
        slots=[InProcess(recipe, latency, declare) for recipe in recipes],
        runs=path / "trials",
        sampler=sampler,
        **kwargs,
    )


def shared_search(path, trials=6):
    oracle = make_oracle("random", GOAL, trials=trials, seed=0)
    return SharedSearch(Journal(path, GOAL, {"name": "fake"}), oracle, Spending(trials=trials))


def calls(*recipes):
    return sorted(tuple(call.values()) for recipe in recipes for call in recipe.calls)


class Slow(FakeRecipe):
    """A recipe whose trial is waited for, by its number in this slot."""

    def __init__(self, *before, speed=50, **kwargs):
        super().__init__(**kwargs)
        self.before, self.speed = before, speed

    def __call__(self, hp, runs):
        if len(self.calls) < len(self.before):
            self.before[len(self.calls)]()
        time.sleep(random.random() / self.speed)
        return super().__call__(hp, runs)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_several_slots_run_each_trial_once(tmp_path, sampler):
    recipes = [Slow() for _ in range(4)]
    heard = []
    record = run_search(
        tmp_path,
        *recipes,
        trials=12,
        sampler=sampler,
        on_trial=lambda entry, _: heard.append(entry["number"]),
    )
    assert [trial.number for trial in record.trials] == list(range(1, 13)) == sorted(heard)
    assert {trial.status for trial in record.trials} == {"complete"}
    assert calls(*recipes) == sorted(tuple(trial.values.values()) for trial in record.trials)
    assert len(set(calls(*recipes))) == 12
    assert all(recipe.calls for recipe in recipes)
    assert record.status == "complete"
    assert record.baseline.trial == 1
    if sampler == "random":  # which does not look at how trials ended
        alone = run_search(tmp_path / "alone", FakeRecipe(), trials=12)
        assert [trial.values for trial in record.trials] == [trial.values for trial in alone.trials]
        assert [trial.metrics for trial in record.trials] == [trial.metrics for trial in alone.trials]
        assert (record.best, record.front) == (alone.best, alone.front)
    assert not [*(tmp_path / owners.FOLDER).iterdir()]


def test_trials_are_compared_with_the_first_one_that_completes_by_number(tmp_path):
    """Whichever ends first."""
    for name, fail in (("first", ()), ("second", (0,))):
        second = threading.Event()

        class Second(FakeRecipe):
            def __call__(self, hp, runs, ended=second):
                run = super().__call__(hp, runs)
                ended.set()
                return run

        slow, quick = Slow(second.wait, fail=fail), Second()
        record = run_search(tmp_path / name, slow, quick, trials=2)
        # Which of the two slots began is chance.
        statuses = {trial.number: trial.status for trial in record.trials}
        completed = min(number for number, status in statuses.items() if status == "complete")
        assert record.baseline.trial == completed
        assert record.trial(completed).metrics["latency"] == 1.0
    assert "failed" in statuses.values()


def test_the_trial_of_one_that_died_is_run_by_the_next(tmp_path):
    shared = shared_search(tmp_path)
    shared.tell_space(declare())
    owner = shared.join()
    assert shared.claim(owner).record.number == 1
    other = shared.join()
    assert shared.claim(other).record.number == 2
    owner.lock.release()  # as the system does when its process dies
    recipe = FakeRecipe()

    def others_die_when_the_third_trial_runs():
        assert [each.number for each in read(tmp_path).trials] == [1, 2, 3]
        other.lock.release()

    slow = Slow(lambda: None, others_die_when_the_third_trial_runs)
    record = run_search(tmp_path, slow, trials=6)
    alone = run_search(tmp_path / "alone", recipe)
    assert [trial.values for trial in record.trials] == [trial.values for trial in alone.trials]
    assert [call["width"] for call in slow.calls[:3]] == [recipe.calls[n]["width"] for n in (0, 2, 1)]


def test_a_trial_waits_for_an_earlier_one_that_nobody_runs_any_more(tmp_path):
    """It is what others are compared with."""
    shared = shared_search(tmp_path, trials=2)
    shared.tell_space(declare())
    owner = shared.join()
    shared.claim(owner)
    slow = Slow(owner.lock.release)
    record = run_search(tmp_path, slow, trials=2)
    assert record.baseline.trial == 1
    assert [call["width"] for call in slow.calls] == [record.trial(n).values["width"] for n in (2, 1, 2)]


def test_the_last_one_waits_for_the_trials_of_others(tmp_path):
    shared = shared_search(tmp_path, trials=1)
    owner = shared.join()
    claim = shared.claim(owner)
    assert shared.claim(shared.join()) is Next.WAIT
    threading.Timer(0.3, owner.lock.release).start()
    recipe = FakeRecipe()
    assert run_search(tmp_path, recipe, trials=1).completed == 1
    assert len(recipe.calls) == 1, claim


def test_the_result_of_a_trial_that_was_taken_over_does_not_count(tmp_path, caplog):
    shared = shared_search(tmp_path, trials=1)
    owner = shared.join()
    claim = shared.claim(owner)
    owner.lock.release()
    record = run_search(tmp_path, FakeRecipe(), trials=1)
    shared.end(claim, claim.record, 1.0)
    assert "taken over by another process" in caplog.text
    assert read(tmp_path).trials == record.trials


class Dying(FakeRecipe):
    """A recipe the process of whose second trial dies a few times."""

    def __init__(self, code, times):
        super().__init__()
        self.code, self.times = code, times

    def __call__(self, hp, runs):
        if len(self.calls) == 1 and self.times:
            self.times -= 1
            hp.Int("width", 1, 64)
            raise ProcessDiedError(self.code, "Fatal Python error: Segmentation fault\nin conv")
        return super().__call__(hp, runs)


def test_what_was_killed_runs_again_and_what_crashes_fails(tmp_path):
    assert run_search(tmp_path / "killed", Dying(-9, 2), trials=3).completed == 3
    for name, code, times, reason in (
        ("memory", -9, 3, "was ended by SIGKILL, as the system does when memory runs out"),
        ("crash", -11, 1, "was ended by SIGSEGV"),
    ):
        recipe = Dying(code, times)
        record = run_search(tmp_path / name, recipe, trials=3)
        assert [trial.status for trial in record.trials] == ["complete", "failed", "complete"]
        assert record.trials[1].reason == f"The process of the trial {reason}."
        assert record.trials[1].values
        assert "in conv" in (tmp_path / name / "failures" / "2.txt").read_text()


@pytest.mark.parametrize("error", [ProcessDiedError(-9, ""), ProcessDiedError(-11, ""), ValueError("no")])
def test_a_space_that_cannot_be_known_is_that_of_the_first_trial(tmp_path, error):
    left = [error, error]

    def fails():
        if left:
            raise left.pop()
        return declare()

    recipes = [Slow(), Slow()]
    record = conduct(
        Journal(tmp_path, GOAL, {"name": "fake"}),
        spending=Spending(trials=4),
        seed=0,
        slots=[InProcess(recipe, latency, fails) for recipe in recipes],
        runs=tmp_path / "trials",
        sampler="random",
    )
    assert record.completed == 4
    assert bool(left) == (getattr(error, "signal", "") != "SIGKILL"), "what was killed is tried again"


class Stoppable(InProcess):
    """A slot whose trials run until it is stopped."""

    def __init__(self, begin=lambda: None):
        super().__init__(self.run, latency, declare)
        self.begin, self.stopped = begin, threading.Event()

    def run(self, hp, runs):
        self.begin()
        assert self.stopped.wait(60)
        raise ProcessDiedError(-15, "")

    def stop(self):
        self.stopped.set()


def run_slots(path, *slots, trials):
    return conduct(
        Journal(path, GOAL, {"name": "fake"}),
        spending=Spending(trials=trials),
        seed=0,
        slots=slots,
        runs=path / "trials",
        sampler="random",
    )


def test_what_ends_one_slot_ends_the_others(tmp_path):
    failing = InProcess(FakeRecipe(fail=range(100)), latency, declare)
    with pytest.raises(RunError, match=r"10 trials in a row failed.*--retry-failed"):
        run_slots(tmp_path, failing, Stoppable(), trials=30)
    statuses = [trial.status for trial in read(tmp_path).trials]
    assert sorted(statuses) == [*["failed"] * 10, "running"]
    assert read(tmp_path).status == "interrupted"
    assert run_search(tmp_path, FakeRecipe(), trials=30, retry_failed=True).completed == 30


def test_an_interruption_ends_all_slots_and_the_search_goes_on_later(tmp_path):
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # processes of xdist ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_slots(tmp_path, Stoppable(), Stoppable(interrupt), trials=4)
    finally:
        signal.signal(signal.SIGINT, before)
    assert read(tmp_path).status == "interrupted"
    assert {trial.status for trial in read(tmp_path).trials} == {"running"}
    assert not [*(tmp_path / "failures").glob("*")]
    assert run_search(tmp_path, FakeRecipe(), trials=4).completed == 4


def test_processes_that_are_killed_at_random_moments_lose_nothing(tmp_path):
    """Three processes work on a search; ten times one is killed, and another one takes its place."""
    script = textwrap.dedent(
        """
        import os, random, signal, sys, time
        from pathlib import Path
        from tests.search.test_conduct import Slow, run_search
        from tests.search.test_recipe_search import FakeRecipe

        os.fsync = lambda _: None  # processes die here, not the machine
        folder = Path(sys.argv[1])
        moments = random.Random(int(sys.argv[2]))
        run_search(folder / "alone", FakeRecipe(), trials=40)

        def begin():  # forks keep the imports, so that all these processes cost seconds
            child = os.fork()
            if child == 0:
                random.seed()
                run_search(folder / "killed", Slow(speed=5), trials=40)
                os._exit(0)
            return child

        children = [begin() for _ in range(3)]
        killed = 0
        for _ in range(10):
            time.sleep(moments.random() / 5)
            victim = children.pop(moments.randrange(3))
            os.kill(victim, signal.SIGKILL)
            killed += os.waitpid(victim, 0)[1] == signal.SIGKILL
            children.append(begin())
        assert killed > 5, "the search was complete before"
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 3
        """
    )
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), "0"], check=True, cwd=root, env={**os.environ}
    )
    alone, killed = read(tmp_path / "alone"), read(tmp_path / "killed")
    assert killed.status == "complete"
    assert [trial.number for trial in killed.trials] == list(range(1, 41))
    assert [trial.values for trial in killed.trials] == [trial.values for trial in alone.trials]
    assert [trial.metrics for trial in killed.trials] == [trial.metrics for trial in alone.trials]
    assert (killed.best, killed.front, killed.baseline) == (alone.best, alone.front, alone.baseline)
