import io

import pytest
from rich.console import Console

from tfopt.report import trials_table


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
