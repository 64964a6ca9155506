import io

import pytest
from rich.console import Console

from tfopt.report import trials_table
from tfopt.report.trials import conclusion, outcome
from tfopt.run.search_record import SearchRecord, TrialRecord


@pytest.fixture
def search():
    def trial(number, accuracy, size, **more):
        figures = {"accuracy": accuracy, "bytes": size, "compressed_bytes": size // 2, "latency": 0.9}
        return {
            "number": number,
            "status": "complete",
            "reason": None,
            "figures": figures,
            "feasible": True,
        } | more

    return {
        "name": "digits",
        "id": "12ab34cd",
        "status": "complete",
        "seconds": 300.0,
        "requested_trials": 4,
        "goal": {"metric": "bytes", "direction": "min", "keep": {"accuracy": -0.01}},
        "baseline": {"accuracy": 0.98},
        "best": 1,
        "front": [0, 1],
        "trials": [
            trial(0, 0.98, 42000, values={"width": 16, "lr": 0.003}),
            trial(1, 0.975, 22000, values={"width": 8, "lr": 0.0041234}),
            trial(2, 0.9, 12000, values={"width": 8, "lr": 0.1}, feasible=False),
            trial(3, None, 1, values={"width": 24}, status="failed", reason="It diverged.", figures={}),
        ],
    }


def show(record, width=120):
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(trials_table(record))
    return capture.get()


def test_it_marks_the_best_the_front_the_infeasible_and_the_failed(search):
    lines = show(search).splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line.strip()[:1].isdigit()}
    assert rows["0"][1] == "*"
    assert rows["1"][1:3] == ["best", "*"]
    assert rows["2"][1] == "infeasible"
    assert rows["3"][1] == "failed"
    assert "Trial 3 failed: It diverged." in lines


def test_it_says_what_was_found(search):
    assert "Best: trial 1, 22.0 kB, accuracy 97.50 %, latency 0.90x" in show(search)


def test_it_says_when_nothing_was_found(search):
    search |= {"best": None, "front": []}
    assert "No trial met --keep accuracy=" in show(search)
    assert "No trial completed." in show({"trials": []})
    assert "No trial completed." in show({})


def test_it_says_when_the_space_was_exhausted(search):
    assert "no other values" not in show(search)
    assert "no other values" in show(search | {"requested_trials": 9}).replace("\n", " ")


@pytest.mark.parametrize("width", [30, 60, 80])
def test_it_fits(search, width):
    assert max(map(len, show(search, width).splitlines())) <= width


@pytest.fixture
def regression():
    def trial(number, mae, macs, **more):
        figures = {"mae": mae, "bytes": 1000 * number, "macs": macs, "epochs": 5}
        run = f"../trials/{number}"
        return {
            "number": number,
            "status": "complete",
            "run": run,
            "figures": figures,
            "feasible": True,
        } | more

    return {
        "schema": 2,
        "status": "complete",
        "seconds": 60.0,
        "searched": 3600.0,
        "requested_hours": 1,
        "requested_epochs": 40,
        "stopped": "1 h",
        "goal": {
            "metric": "mae",
            "direction": "min",
            "objectives": {"mae": "min", "macs": "min"},
            "keep": {"mae": 0.5},
            "max": {"macs": 5e6, "bytes": 0.5},
        },
        "baseline": {"trial": 1, "file": "f", "metrics": {"mae": 1.0}, "costs": {}},
        "best": 2,
        "front": [1, 2],
        "knee": 1,
        "hypervolume": 0.3456,
        "trials": [
            trial(1, 1.2, 4_000_000),
            trial(2, 0.9, 4_900_000),
            trial(3, 1.9, 4_000_000, feasible=False, violations={"keep mae": 0.4}),
            trial(
                4, None, 0, run=None, status="rejected", figures={"macs": 7e6}, violations={"max macs": 0.4}
            ),
            trial(5, None, 0, run=None, status="rejected", figures={}, reason="No rule for it."),
        ],
    }


def test_it_shows_the_metrics_of_the_goal_and_what_was_used(regression):
    text = show(regression, 200)
    heading = next(line for line in text.splitlines() if line.startswith("Trial"))
    assert heading.split() == ["Trial", "mae", "Size", "MACs"]
    assert "3 trials, 15 of 40 epochs, 1 h 0 min of 1 h, smallest mae, smallest macs" in text
    assert "mae within +0.5, macs at most 5000000, bytes at most 0.5" in text
    assert "Best: trial 2, mae 0.9, macs 4.9 M, 2.0 kB" in text
    assert "in mae and macs together; the front bends most at trial 1; hypervolume 0.346" in text
    assert "the search ended because it had used up its 1 h" in text


def test_rejected_trials_are_counted_below_the_table(regression):
    text = show(regression, 200)
    assert not [line for line in text.splitlines() if line.split()[:1] == ["4"]]
    assert "2 trials were rejected before training: max macs (1), the model (1)." in text
    rejected = TrialRecord.from_json(regression["trials"][3] | {"reason": "macs 7 is above 5"})
    assert outcome(rejected) == "rejected: macs 7 is above 5"


def test_it_says_how_close_trials_came_to_what_none_met(regression):
    missed = {"keep mae": 0.4, "max bytes": 0.1}
    for trial, macs in zip(regression["trials"][:3], (0.3, 0.2, 0.1), strict=True):
        trial |= {"feasible": False, "violations": missed | {"max macs": macs, "max bytes": macs * 2}}
    regression["trials"][0]["violations"].pop("max bytes")
    record = SearchRecord.from_json(regression | {"best": None, "front": []})
    assert conclusion(record) == (
        "No trial met --keep mae=0.5 (closest: 1.2, trial 1) and --max macs=5000000 (closest: 4 M, trial 3)."
    )


def test_the_front_of_an_older_search_is_that_of_its_version(search):
    assert "in accuracy, bytes and latency together" in show(search | {"schema": 1}, 200)
    assert "* no other trial beats it in bytes" in show(search | {"schema": 2}, 200)
