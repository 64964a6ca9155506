import math

import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.run.search_record import BaselineRecord
from tfopt.search.goals.goal import Goal
from tfopt.search.goals.objectives import UnfitGoalError

FLOAT = BaselineRecord(
    metrics={"accuracy": 0.98, "mae": 2.0, "fit": 0.5},
    costs={"bytes": 1000, "macs": 4e6, "latency": 2e-3, "params": 500},
)


def test_accuracy_is_what_a_search_is_after_unless_told_otherwise():
    goal = Goal.of()
    assert (goal.metric, goal.direction) == ("accuracy", "max")


@pytest.mark.parametrize("metric", ["bytes", "compressed_bytes", "latency", "macs", "mae", "fit"])
def test_smaller_scores_lower(metric):
    goal = Goal.of(minimize=metric)
    assert goal.score({metric: 1.0}, FLOAT) < goal.score({metric: 2.0}, FLOAT)


@pytest.mark.parametrize("metric", ["accuracy", "head.accuracy", "r2_score", "fit"])
def test_larger_scores_lower(metric):
    goal = Goal.of(maximize=metric)
    assert goal.score({metric: 0.9}, FLOAT) < goal.score({metric: 0.8}, FLOAT)


def test_infeasible_scores_are_finite_above_all_feasible_ones_and_in_order():
    goal = Goal.of(minimize="bytes", keep={"accuracy": -0.01})
    huge = goal.score({"accuracy": 0.97, "bytes": 1e11}, FLOAT)
    near = goal.score({"accuracy": 0.96, "bytes": 1}, FLOAT)
    far = goal.score({"accuracy": 0.5, "bytes": 1}, FLOAT)
    unknown = goal.score({"accuracy": None, "bytes": 1}, FLOAT)
    assert huge < near < far <= unknown
    assert math.isfinite(unknown)


@pytest.mark.parametrize(
    ("name", "change", "just", "not_quite"),
    [
        ("accuracy", -0.01, 0.97, 0.9699),
        ("mae", 0.1, 2.1, 2.101),
        ("mae", -0.1, 1.9, 1.901),  # which must become better
        ("fit", -0.1, 0.4, 0.399),  # the sign tells which way it is better
        ("fit", 0.1, 0.6, 0.601),
    ],
)
def test_exactly_what_may_change_is_kept(name, change, just, not_quite):
    goal = Goal.of(minimize="bytes", keep={name: change})
    assert goal.feasible({name: just}, FLOAT)
    assert not goal.feasible({name: not_quite}, FLOAT)


def test_the_direction_of_an_objective_holds_for_what_is_kept():
    goal = Goal.of(minimize="fit", keep={"fit": -0.1})
    assert goal.feasible({"fit": 0.3}, FLOAT)
    assert not goal.feasible({"fit": 0.45}, FLOAT)


@pytest.mark.parametrize(
    ("limits", "metrics", "missed"),
    [
        ({"bytes": "2k"}, {"bytes": 2000}, 0.0),
        ({"bytes": "2k"}, {"bytes": 3000}, 0.5),
        ({"bytes": 0.5}, {"bytes": 500}, 0.0),
        ({"bytes": 0.5}, {"bytes": 1000}, 1.0),
        ({"macs": "5M"}, {"macs": 6e6}, 0.2),
        ({"latency": 0.5}, {"latency": 0.6}, 0.2),
        ({"latency": "1ms"}, {"latency": 0.6}, 0.2),  # of a first file of 2 ms
    ],
)
def test_limits_are_absolute_or_shares_of_the_first_trial(limits, metrics, missed):
    goal = Goal.of(minimize="bytes", max=limits)
    ((name, violation),) = goal.violations(metrics, FLOAT).items()
    assert name == f"max {next(iter(limits))}"
    assert violation == pytest.approx(missed, abs=1e-6)
    assert goal.constraints == (name,)


def test_a_violation_is_a_share_so_that_constraints_weigh_alike():
    goal = Goal.of(keep={"accuracy": -0.08}, max={"macs": "2M", "params": 1.0})
    found = goal.violations({"accuracy": 0.8, "macs": 3e6, "params": 400}, FLOAT)
    expected = {"keep accuracy": 0.1 / 0.98, "max macs": 0.5, "max params": 0}
    assert found == pytest.approx(expected, abs=1e-6)
    assert goal.violation({"accuracy": 0.8, "macs": 3e6, "params": 400}, FLOAT) == pytest.approx(
        sum(expected.values()), abs=1e-6
    )


def test_what_is_told_about_a_violation():
    (bound,) = Goal.of(max={"macs": "5M"}).bounds(FLOAT)
    assert bound.told(7.2e6) == "macs 7,200,000 is above 5,000,000"
    (bound,) = Goal.of(keep={"accuracy": -0.01}).bounds(FLOAT)
    assert bound.told(0.9) == "accuracy 0.9 is below 0.97"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"minimize": "bytes", "maximize": ["accuracy", "accuracy"]}, "'accuracy' is given twice"),
        ({"minimize": "fit", "maximize": "fit"}, "'fit' is both minimized and maximized"),
        ({"minimize": 3}, "a metric or a list of them, got 3"),
        (
            {"minimize": "accuracy"},
            "Cannot minimize 'accuracy', which is better when it is larger: maximize it",
        ),
        ({"maximize": "latency"}, "Cannot maximize 'latency', which is better when it is smaller"),
        ({"maximize": "head.loss"}, "Cannot maximize 'head.loss'"),
        ({"keep": {"bytes": 1}}, r"Cannot keep 'bytes', which is a cost: limit it with --max bytes=0.5"),
        ({"keep": {"accuracy": -5}}, "percentage point"),
        ({"keep": {"accuracy": math.nan}}, "percentage point"),
        ({"keep": {"fit": 0}}, "does not say which way 'fit' is better"),
        ({"max": {"accuracy": 1}}, "no budget 'accuracy'; expected one of macs"),
        ({"max": {"bytes": -1}}, "nothing costs -1 or less"),
        ({"max": 3}, "limits"),
    ],
)
def test_bad_goals_are_told(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Goal.of(**arguments)


def test_several_metrics():
    goal = Goal.of(minimize=["bytes", "latency"], maximize="accuracy")
    assert goal.metrics == ("bytes", "latency", "accuracy")
    assert (goal.metric, goal.direction) == ("bytes", "min")
    assert goal.costs({"bytes": 3, "accuracy": 0.9}) == (3, math.inf, -0.9)
    with pytest.raises(
        UnfitGoalError, match="no metric 'latency'; it has none of its own, and the costs bytes"
    ):
        goal.check({"bytes": 1.0, "latency": None})


def test_what_is_kept_or_limited_must_be_measured():
    with pytest.raises(UnfitGoalError, match="no metric 'accuracy'"):
        Goal.of(minimize="bytes", keep={"accuracy": -0.1}).check({"bytes": 1.0, "accuracy": None})
    with pytest.raises(UnfitGoalError, match="no metric 'macs'"):
        Goal.of(minimize="bytes", max={"macs": 0.5}).check({"bytes": 1.0})
    with pytest.raises(UnfitGoalError, match="the float model of the first trial does not measure it"):
        Goal.of(keep={"auc": -0.1}).bounds(FLOAT)
    with pytest.raises(UnfitGoalError, match="the first trial does not measure it"):
        Goal.of(max={"epochs": 0.5}).bounds(FLOAT)


def test_what_no_model_can_keep_is_told():
    with pytest.raises(
        UnfitGoalError, match=r"No model can keep accuracy=\+0.5: .* has 0.98, and 1.48 is above 1"
    ):
        Goal.of(keep={"accuracy": 0.5}).bounds(FLOAT)


def test_a_metric_that_was_not_measured_is_an_error():
    with pytest.raises(UnfitGoalError, match="no metric 'latency'"):
        Goal.of(minimize="latency").score({"latency": None, "bytes": 3}, FLOAT)


def test_in_words():
    goal = Goal.of(minimize="bytes", maximize="fit", keep={"accuracy": -0.01}, max={"macs": 0.5})
    assert goal.describe() == (
        "minimize bytes, maximize fit, keep accuracy within -0.01, macs at most 50 % of the original"
    )
