"""Which search a command means, and what is said where it is another one than before."""

import dataclasses
from pathlib import Path

import pytest

from tfopt.errors import RecipeError
from tfopt.run.run_record import RecipeRecord
from tfopt.search.goals.goal import Goal
from tfopt.search.identity import check_unchanged, command, identity
from tfopt.search.journal import Journal
from tfopt.search.spending import Spending

GOAL = Goal.of(minimize="bytes")
ABOUT = {"recipe": RecipeRecord(file="a.py"), "recipe_digest": "old", "sampler": "tpe", "seed": 0}


@pytest.mark.parametrize(
    "other",
    [
        {"digest": "new"},
        {"goal": Goal.of(minimize="latency")},
        {"goal": Goal.of(minimize="bytes", keep={"accuracy": -0.1})},
        {"goal": Goal.of(minimize="bytes", max={"macs": 0.5})},
        {"goal": Goal.of(minimize="x")},
        {"goal": Goal.of(maximize="x")},
        {"seed": 1},
        {"data": "digits"},
        {"sampler": "random"},
    ],
)
def test_searches_that_differ_have_another_name(other):
    alike = {"digest": "old", "goal": GOAL, "seed": 0, "data": None, "sampler": "tpe"}
    assert identity(**alike) == identity(**alike)
    assert identity(**alike | other) not in (
        identity(**alike),
        identity(**alike | {"goal": Goal.of(maximize="y")}),
    )


def test_a_recipe_that_changed_between_two_parts_of_a_search_is_told(tmp_path):
    book = Journal(tmp_path / "search-1", GOAL, ABOUT)
    book.begin(1)
    changed = ABOUT | {"recipe_digest": "new"}
    with pytest.raises(
        RecipeError, match=r"a\.py changed since the search .*search-1 began, which has 1 trials"
    ):
        check_unchanged(tmp_path, "search-2", changed, GOAL)
    check_unchanged(tmp_path, "search-1", ABOUT, GOAL)
    check_unchanged(tmp_path, "search-2", changed | {"seed": 1}, GOAL)
    check_unchanged(tmp_path, "search-2", changed, dataclasses.replace(GOAL, keep={"accuracy": -0.1}))
    book.close()
    check_unchanged(tmp_path, "search-2", changed, GOAL)


def test_the_command_that_goes_on():
    goal = Goal.of(
        minimize=["bytes", "latency"],
        maximize="accuracy",
        keep={"accuracy": -0.01},
        max={"bytes": "100k", "macs": 0.5, "latency": "1.5ms"},
    )
    spending = Spending(trials=None, hours=2.5, epochs=300)
    assert command(Path("r.py"), goal, spending, {"sampler": None, "seed": 3}) == (
        "tfopt search r.py --hours 2.5 --epochs-total 300 --minimize bytes --minimize latency "
        "--maximize accuracy --keep accuracy=-0.01 --max macs=0.5 --max bytes=100000.0 --max latency=1.5ms "
        "--seed 3"
    )
