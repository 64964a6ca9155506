"""The table of recipes/README.md is made of recipes/results.json, and has a row for each recipe."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_recipes", ROOT / "benchmarks" / "recipes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def row():
    return {
        "recipe": "digits", "data": "its own", "samples": [1294, 144, 359], "seed": 0, "metric": "accuracy",
        "values": [0.98, 0.97], "others": {"box_iou": [0.5, 0.4]}, "passed": True, "bytes": [2000, 1000],
        "gzip": [900, 500], "macs": [3000, 3000], "latency": 1.25, "seconds": 61.4,
        "command": "tfopt run recipes/digits.py", "machine": "a processor, 2 cores; tfopt 1.0",
    }  # fmt: skip


def test_the_page_shows_what_was_measured(bench):
    rows = json.loads(bench.RESULTS.read_text())
    assert bench.table(rows) in bench.PAGE.read_text()
    assert {row["recipe"] for row in rows} <= set(bench.names())


def test_rows_of_seeds_metrics_and_what_was_not_measured(bench, row):
    rows = bench.kept([row], row | {"seed": 1, "values": [0.99, 0.6], "passed": False})
    rows = bench.kept(rows, row | {"values": [0.9812, 0.97]})  # measured again
    lines = bench.table(rows).splitlines()
    cells = ["[digits](digits.py)", "its own, 1,294 / 144 / 359", "accuracy", "98.12 %, 99.00 %"]
    cells += ["97.00 %, 60.00 %", "2.0 kB to 1.0 kB", "500 B", "3 k", "1.25x", "61", "0, 1"]
    assert f"| {' | '.join(cells)} |" in lines
    assert any(line.startswith("|  |  | box_iou | 0.5, 0.5 | 0.4, 0.4 |") for line in lines)
    assert sum("not measured" in line for line in lines) == len(bench.names()) - 1
    assert "Worse than their `max_drop` allows: digits (seed 1)." in lines
    assert "    tfopt run recipes/digits.py" in lines
