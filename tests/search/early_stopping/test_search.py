"""Searches that stop trials early, with runs that are made up."""

from types import SimpleNamespace

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tests.at_length import some
from tfopt.cli.show import show_search
from tfopt.pipeline.training.pause import Progress
from tfopt.run.run_record import RunRecord
from tfopt.search import samplers
from tfopt.search.conduct import conduct
from tfopt.search.early_stopping.judge import Judge
from tfopt.search.executors.slot import InProcess
from tfopt.search.goals.goal import Goal
from tfopt.search.journal import Journal
from tfopt.search.recipe_search import SearchResult
from tfopt.search.spending import Spending

EPOCHS = 9


class FakeRecipe:
    """Stands for a recipe of nine epochs: wider is larger and, at a rate of 1e-2, more accurate."""

    def __init__(self, judge, interrupt=None):
        self.judge, self.interrupt, self.trained = judge, interrupt, []

    def __call__(self, hp, runs):
        width = hp.Int("width", 1, 64, default=16)
        rate = hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2)
        path = runs / f"{width}-{rate:.8f}"
        path.mkdir(parents=True, exist_ok=True)
        state = path / "epochs"
        done = int(state.read_text()) if state.exists() else 0
        accuracy = (0.5 + width / 130) / (1 + abs(rate - 1e-2))
        history = [accuracy * epoch / (epoch + 1) for epoch in range(1, EPOCHS + 1)]
        for epochs in range(max(done, 1), EPOCHS + 1):
            if epochs > done:
                if len(self.trained) == self.interrupt:
                    raise KeyboardInterrupt
                self.trained.append((path.name, epochs))
                state.write_text(str(epochs))
            if not self._goes_on(path.name, epochs, history[:epochs], width):
                return self._run(path, "stopped", history[:epochs], [])
        (path / "model.tflite").write_bytes(bytes(width))
        exported = {
            "name": "export_tflite",
            "file": "model.tflite",
            "validation": {"loss": 0.1, "accuracy": accuracy},
            "bytes": 100 * width,
            "compressed_bytes": 50 * width,
        }
        return self._run(path, "complete", history, [exported])

    def _goes_on(self, name, epochs, history, width):
        about = {"val_accuracy": history, "val_loss": [1 - value for value in history]}
        return self.judge(
            Progress(
                run=name,
                epochs=epochs,
                stage_epochs=EPOCHS,
                run_epochs=EPOCHS,
                history=about,
                parameters=width,
                macs=width,
            )
        )

    def _run(self, path, status, history, exported):
        train = {
            "name": "train",
            "status": status,
            "validation": {"accuracy": 0.9},
            "history": {"val_accuracy": history},
        }
        record = {"status": status, "stages": [train, *exported]}
        return SimpleNamespace(path=path, typed=RunRecord.from_json(record))


def run_search(path, *, goal, interrupt=None, method="halving", trials=14, **options):
    judge = Judge.of(path, method, goal.directions, goal.kept_directions)
    recipe = FakeRecipe(judge, interrupt)
    slot = InProcess(recipe, lambda first, second: second.stat().st_size / first.stat().st_size)
    record = conduct(
        Journal(path, goal, {"name": "fake", "seed": 0, "requested_trials": trials}),
        spending=Spending(trials=trials),
        seed=0,
        slots=[slot],
        runs=path / "trials",
        judge=judge,
        **options,
    )
    return SearchResult(path, record), recipe


ACCURACY = Goal.of(maximize="accuracy")
SEVERAL = Goal.of(minimize=["bytes", "latency"], maximize="accuracy", keep={"accuracy": -0.5})


@pytest.mark.parametrize("sampler", some(("random", "tpe", "nsga2", "annealing"), ("tpe", "annealing")))
@pytest.mark.parametrize("method", some(("halving", "hyperband"), ("halving",)))
def test_most_trials_stop_and_none_trains_an_epoch_twice(tmp_path, sampler, method):
    result, recipe = run_search(tmp_path, goal=ACCURACY, sampler=sampler, method=method, trials=20)
    trials = result.typed.trials
    assert {trial.status for trial in trials} == {"complete", "stopped"}
    assert len(trials) == 20
    assert len(set(recipe.trained)) == len(recipe.trained) == result.typed.epochs
    assert result.typed.epochs < 0.9 * 20 * EPOCHS
    assert all(trial.epochs == EPOCHS for trial in trials if trial.is_complete)
    complete = [trial for trial in trials if trial.is_complete]
    assert result.typed.best_trial == max(complete, key=lambda trial: trial.metrics["accuracy"])
    for trial in trials:
        if trial.status == "stopped":
            assert trial.epochs == trial.stopped_at["epochs"] in (1, 3)
            assert trial.stopped_at["val_accuracy"] > 0
            assert not trial.metrics
            assert (tmp_path / trial.run / "epochs").read_text() == str(trial.epochs)


def test_a_promoted_trial_goes_on_from_its_epoch(tmp_path):
    _, recipe = run_search(tmp_path, goal=ACCURACY, sampler="random", trials=30)
    names = [name for name, _ in recipe.trained]
    # Others trained between its epochs.
    went_on = [name for name in {*names} if names.index(name) + names.count(name) <= _last(names, name)]
    assert went_on, "no trial was promoted"
    for name in went_on:
        epochs = [epoch for other, epoch in recipe.trained if other == name]
        assert epochs == [*range(1, len(epochs) + 1)]


def _last(names, name):
    return len(names) - 1 - names[::-1].index(name)


def test_of_several_goals_the_front_is_trained_to_its_end(tmp_path, capsys):
    result, _ = run_search(tmp_path, goal=SEVERAL, sampler="tpe", trials=24)
    complete = [trial for trial in result.typed.trials if trial.is_complete]
    stopped = [trial for trial in result.typed.trials if trial.status == "stopped"]
    assert stopped
    assert {trial.number for trial in complete} >= {*result.typed.front}
    # A stopped one would not have been on the front: somebody is as small and was more accurate.
    for trial in stopped:
        assert {*trial.stopped_at} == {"epochs", "val_accuracy", "parameters", "macs"}
        assert any(
            other.values["width"] <= trial.values["width"]
            and other.metrics["accuracy"] > trial.stopped_at["val_accuracy"]
            for other in complete
        )
    show_search(tmp_path, result.typed)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{result.typed.epochs} epochs" in shown
    assert "stopped: others were better after as many epochs" in shown


@pytest.mark.parametrize(
    "goal",
    [ACCURACY, pytest.param(SEVERAL, marks=pytest.mark.slow)],
    ids=["accuracy", "several"],
)
def test_a_search_that_is_interrupted_at_any_epoch_ends_as_without(tmp_path, goal):
    whole, recipe = run_search(tmp_path / "whole", goal=goal, trials=10)

    def told(result):
        return [(t.values, t.status, t.metrics, t.stopped_at, t.epochs) for t in result.typed.trials]

    for moment in range(0, len(recipe.trained), 12):
        path = tmp_path / str(moment)
        with pytest.raises(KeyboardInterrupt):
            run_search(path, goal=goal, trials=10, interrupt=moment)
        result, rest = run_search(path, goal=goal, trials=10)
        assert rest.trained == recipe.trained[moment:]
        assert told(result) == told(whole)
        assert result.typed.front == whole.typed.front


def test_the_study_knows_what_a_stopped_trial_had_reached(tmp_path):
    result, _ = run_search(tmp_path, goal=ACCURACY, sampler="tpe")
    study = optuna.load_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "tuner" / "optuna.journal"))),
    )
    # Of a trial that was promoted, the last.
    found = {trial.user_attrs["trial_id"] + 1: trial for trial in study.trials}
    for trial in result.typed.trials:
        if trial.status == "stopped":
            assert found[trial.number].state == TrialState.PRUNED
            expected = {trial.stopped_at["epochs"]: trial.stopped_at["val_accuracy"]}
            assert found[trial.number].intermediate_values == expected
        else:
            assert found[trial.number].state == TrialState.COMPLETE


def test_a_stopped_trial_is_no_failure(tmp_path, monkeypatch):
    """Neither many in a row end the search, nor does a retry of failed trials run it."""
    monkeypatch.setattr(samplers, "FAILURES_IN_A_ROW", 4)
    result, _ = run_search(tmp_path, goal=ACCURACY, sampler="random", trials=20)
    assert "s" * 6 in "".join(trial.status[0] for trial in result.typed.trials)
    again, recipe = run_search(tmp_path, goal=ACCURACY, sampler="random", trials=20, retry_failed=True)
    assert not recipe.trained
    assert again.typed.trials == result.typed.trials
    assert not (tmp_path / "failures").exists()
    assert result.typed.seconds == pytest.approx(sum(each.seconds for each in result.typed.trials), abs=0.02)
