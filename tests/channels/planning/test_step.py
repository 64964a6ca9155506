import pytest

from tfopt.budgets import Budgets, Limit
from tfopt.channels.planning.step import Step


def test_without_other_steps_goals_are_as_they_are():
    assert Step().share(0.3) == pytest.approx(0.3)
    assert Step().share(None) is None
    budgets = Budgets(macs=0.5, bytes="100k")
    assert Step().budgets(budgets) == budgets


def test_what_is_kept_falls_by_equal_factors():
    kept = [1 - Step(progress=progress).share(0.875) for progress in (1 / 3, 2 / 3, 1)]
    assert kept == pytest.approx([1 / 2, 1 / 4, 1 / 8])


def test_budgets_are_shares_of_what_the_model_costs_now():
    budgets = Budgets(macs=0.25, params=100)
    original = {"macs": 1000.0, "params": 400.0}
    first = Step(progress=0.5, original=original, now=original).budgets(budgets)
    assert first.limits == {"macs": Limit(0.5, True), "params": Limit(0.5, True)}
    last = Step(progress=1.0, original=original, now={"macs": 500.0, "params": 160.0}).budgets(budgets)
    assert last.limits == {"macs": Limit(0.5, True), "params": Limit(0.625, True)}


def test_what_is_met_already_is_no_goal_any_more():
    step = Step(progress=1.0, original={"macs": 1000.0}, now={"macs": 400.0})
    assert not step.budgets(Budgets(macs=0.5))


def test_a_latency_in_seconds_stays_one():
    step = Step(progress=1.0, original={"latency": 0.004}, now={"latency": 0.003})
    (limit,) = step.budgets(Budgets(latency="2ms")).limits.values()
    assert not limit.relative
    assert limit.value == pytest.approx(0.002)
    (limit,) = step.budgets(Budgets(latency=0.5)).limits.values()
    assert limit.relative
    assert limit.value == pytest.approx(2 / 3)
