import itertools
import math
import sys

import numpy as np
import pytest

import tfopt
from tests.channels.hand_made import chain
from tfopt.budgets import Budgets
from tfopt.channels.allocation.allocate import allocate, allocation
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.errors import GoalError, InvalidArgumentError

WIDTHS = (32, 64, 16)


@pytest.fixture(scope="module")
def dependencies():
    return chain(WIDTHS)


def scores_of(dependencies, seed=0):
    return np.random.default_rng(seed).random(dependencies.count)


@pytest.mark.parametrize("method", ["global", "uniform", "sensitivity"])
@pytest.mark.parametrize(
    "budgets", [{"macs": 0.5}, {"params": 0.3}, {"macs": 0.6, "params": 0.4}, {"macs": "1M"}, {"params": 1.0}]
)
def test_every_budget_is_met_and_the_tightest_nearly_used(dependencies, method, budgets):
    found = allocation(dependencies, scores_of(dependencies), budgets, method=method)
    costs = ModelCosts(dependencies).evaluate(found.keep)
    limits = Budgets.from_mapping(budgets).of(
        ModelCosts(dependencies).evaluate(np.ones(dependencies.count, bool))
    )
    usage = [costs[name] / limit for name, limit in limits.items()]
    assert 0.95 <= max(usage) <= 1
    assert {name: found.costs[name] for name in ("macs", "params")} == {
        name: costs[name] for name in ("macs", "params")
    }


@pytest.mark.parametrize("method", ["global", "uniform", "sensitivity"])
def test_the_best_units_of_a_group_stay(dependencies, method):
    scores = scores_of(dependencies)
    keep = allocate(dependencies, scores, {"macs": 0.4}, method=method)
    for group in dependencies.groups:
        kept = keep[group.units]
        assert kept.any()
        assert scores[group.units][kept].min() > scores[group.units][~kept].max(initial=-1)


def test_uniform_takes_the_same_share_everywhere(dependencies):
    keep = allocate(dependencies, scores_of(dependencies), {"macs": 0.3}, method="uniform", round_to=1)
    shares = [keep[group.units].mean() for group in dependencies.groups]
    assert max(shares) - min(shares) < 0.1


def test_global_takes_from_where_scores_are_low(dependencies):
    scores = scores_of(dependencies)
    scores[dependencies.groups[1].units] /= 100
    widths = allocation(dependencies, scores, {"macs": 0.4}, method="global").widths
    assert widths[1].kept < widths[1].units
    assert (widths[0].kept, widths[2].kept) == (32, 16)


def test_widths_are_what_kernels_like():
    dependencies = chain((64, 64, 24))
    found = allocation(dependencies, scores_of(dependencies), {"macs": 0.5}, method="uniform")
    uneven = [width for width in found.widths if width.kept % 8]
    assert len(uneven) <= 2  # those that filled the last 5 %
    assert found.widths[2].kept % 2 == 0


def test_the_integer_program_finds_the_optimum(dependencies):
    """On scores under which the same share everywhere is far from the best; checked against all choices."""
    scores = scores_of(dependencies)
    scores[dependencies.groups[0].units] *= 5
    limit = 0.4 * ModelCosts(dependencies).evaluate(np.ones(dependencies.count, bool))["macs"]
    costs = ModelCosts(dependencies)
    ranked = [np.sort(scores[group.units])[::-1] for group in dependencies.groups]
    best = np.inf
    for widths in itertools.product(range(8, 33, 8), range(8, 65, 8), range(4, 17, 4)):
        if costs.metrics["macs"].at(costs.sizes.at_widths(np.array(widths))) <= limit:
            best = min(best, sum(r[n:].sum() for r, n in zip(ranked, widths, strict=True)))
    removed = {
        method: scores[~allocate(dependencies, scores, {"macs": 0.4}, method=method)].sum()
        for method in ("sensitivity", "uniform", "global")
    }
    assert removed["sensitivity"] <= best + 1e-9
    assert removed["sensitivity"] < removed["uniform"]
    assert removed["sensitivity"] <= removed["global"] + 1e-9


def test_rules_and_the_least_share(dependencies):
    rules = {"conv0": None, "conv1": 0.75}
    found = allocation(dependencies, scores_of(dependencies), {"macs": 0.7}, rules=rules, min_share=0.25)
    assert found.widths[0].kept == 32
    assert found.widths[1].kept >= 48
    assert found.widths[2].kept >= 4


def test_a_rule_that_matches_nothing_is_refused(dependencies):
    with pytest.raises(InvalidArgumentError, match="'conv9' matches no layer"):
        allocate(dependencies, scores_of(dependencies), {"macs": 0.5}, rules={"conv9": None})


def test_a_budget_out_of_reach_is_refused_with_what_can_be_reached(dependencies):
    rules = {"conv1": None}
    with pytest.raises(
        GoalError, match=r"least [\d,]+ \(.*%\), half .*limit.*head: it makes the outputs"
    ) as error:
        allocate(dependencies, scores_of(dependencies), {"macs": 0.01}, rules=rules)
    least = error.value.best["macs"].least
    # What the message advises: allow more, or fewer rules.
    assert (
        allocation(dependencies, scores_of(dependencies), {"macs": least}, rules=rules).costs["macs"] == least
    )
    assert allocation(dependencies, scores_of(dependencies), {"macs": 0.04}).costs["macs"] < least


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budgets": {}}, "expected a budget such as macs=0.5"),
        ({"budgets": {"mac": 0.5}}, "Did you mean 'macs'"),
        ({"method": "magic"}, "expected method to be one of 'global', 'uniform', 'sensitivity'"),
        ({"round_to": 0}, "round_to to be a whole number >= 1"),
        ({"min_share": 0}, r"min_share to be a finite number in \(0, 1\]"),
        ({"scheme": "int9"}, "scheme must be one of float32"),
        ({"scores": np.ones(3)}, r"one finite score for each of 112 units, got an array of shape \(3,\)"),
        ({"scores": np.full(112, np.nan)}, "NaN"),
        ({"rules": {"conv0": 2}}, "The rule for 'conv0' is 2"),
    ],
)
def test_bad_arguments(dependencies, arguments, message):
    given = {"scores": scores_of(dependencies), "budgets": {"macs": 0.5}} | arguments
    with pytest.raises(InvalidArgumentError, match=message):
        allocate(dependencies, **given)


def test_the_table(dependencies):
    found = allocation(dependencies, scores_of(dependencies), {"macs": 0.5})
    table = str(found)
    assert "macs: least " in table
    assert "chosen (global): macs " in table
    assert "conv1" in table
    assert found.to_dict()["widths"][0]["name"] == "conv0"


def test_an_aim_that_leads_to_the_same_widths_again_is_lowered(monkeypatch):
    """Files are a little larger than predicted, and units few: what fits is found all the same."""
    dependencies = chain((4, 4))
    whole = 4.0 * dependencies.model.count_params()

    class Larger:
        original = {"bytes": whole}  # noqa: RUF012

        @classmethod
        def for_budgets(cls, *_):
            return cls()

        def measured(self, model):
            return {"bytes": 4.0 * model.count_params() * 1.02}

    monkeypatch.setattr(sys.modules[allocation.__module__], "UntrainedFiles", Larger)
    for share in np.linspace(0.4, 0.98, 15):
        found = allocation(dependencies, scores_of(dependencies), {"bytes": float(share)})
        assert found.costs["bytes"] <= share * whole


def test_where_steps_leave_room_the_plan_says_so(monkeypatch):
    """Files are multiples of 30 % of the original: at most 85 % are 60 %."""
    dependencies = chain(WIDTHS)
    whole = 4.0 * dependencies.model.count_params()

    class Stepped:
        original = {"bytes": whole}  # noqa: RUF012

        @classmethod
        def for_budgets(cls, *_):
            return cls()

        def measured(self, model):
            return {"bytes": math.ceil(4.0 * model.count_params() / (0.3 * whole)) * 0.3 * whole}

    monkeypatch.setattr(sys.modules[allocation.__module__], "UntrainedFiles", Stepped)
    found = allocation(dependencies, scores_of(dependencies), {"bytes": 0.85})
    assert found.costs["bytes"] == pytest.approx(0.6 * whole)
    assert "widths use 70.6% of the budget, and the next larger ones use 105.9%" in found.note
    assert found.note in str(found)
    assert found.to_dict()["note"] == found.note
    plan = tfopt.prune_channels(dependencies.model, bytes=0.85, dry_run=True)
    assert plan.note in plan.table()
    assert plan.note
    assert not tfopt.prune_channels(dependencies.model, macs=0.5, dry_run=True).note
