import math

import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.search.goal import Goal

FLOAT = {"accuracy": 0.98}


def test_accuracy_is_what_a_search_is_after_unless_told_otherwise():
    goal = Goal.of()
    assert (goal.metric, goal.direction) == ("accuracy", "max")


@pytest.mark.parametrize("metric", ["bytes", "compressed_bytes", "latency"])
def test_smaller_scores_lower(metric):
    goal = Goal.of(minimize=metric)
    assert goal.score({metric: 1.0}, FLOAT) < goal.score({metric: 2.0}, FLOAT)


def test_more_accurate_scores_lower():
    goal = Goal.of(maximize="accuracy")
    assert goal.score({"accuracy": 0.9}, FLOAT) < goal.score({"accuracy": 0.8}, FLOAT)


def test_infeasible_scores_are_finite_above_all_feasible_ones_and_in_order():
    goal = Goal.of(minimize="bytes", keep={"accuracy": -0.01})
    huge = goal.score({"accuracy": 0.97, "bytes": 1e11}, FLOAT)
    near = goal.score({"accuracy": 0.96, "bytes": 1}, FLOAT)
    far = goal.score({"accuracy": 0.5, "bytes": 1}, FLOAT)
    unknown = goal.score({"accuracy": None, "bytes": 1}, FLOAT)
    assert huge < near < far <= unknown
    assert math.isfinite(unknown)


def test_exactly_what_may_be_lost_is_kept():
    goal = Goal.of(minimize="bytes", keep={"accuracy": -0.01})
    assert goal.feasible({"accuracy": 0.97}, FLOAT)
    assert not goal.feasible({"accuracy": 0.9699}, FLOAT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"minimize": "bytes", "maximize": ["accuracy", "accuracy"]}, "can be given once"),
        ({"minimize": 3}, "a metric or a list of them, got 3"),
        ({"minimize": "size"}, "expected bytes or compressed_bytes or latency"),
        ({"maximize": "latency"}, "expected accuracy"),
        ({"keep": {"bytes": 1}}, "Cannot keep 'bytes'"),
        ({"keep": {"accuracy": -5}}, "percentage point"),
        ({"keep": {"accuracy": math.nan}}, "percentage point"),
    ],
)
def test_bad_goals_are_told(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Goal.of(**arguments)


def test_several_metrics():
    goal = Goal.of(minimize=["bytes", "latency"], maximize="accuracy")
    assert goal.metrics == ("bytes", "latency", "accuracy")
    assert (goal.metric, goal.direction) == ("bytes", "min")
    with pytest.raises(InvalidArgumentError, match="no metric 'latency'; it has bytes"):
        goal.check({"bytes": 1.0, "latency": None})


def test_what_is_kept_must_be_measured():
    with pytest.raises(InvalidArgumentError, match="no metric 'accuracy'; it has bytes"):
        Goal.of(minimize="bytes", keep={"accuracy": -0.1}).check({"bytes": 1.0, "accuracy": None})


def test_a_metric_that_was_not_measured_is_an_error():
    with pytest.raises(InvalidArgumentError, match="no metric 'latency'; it has bytes"):
        Goal.of(minimize="latency").score({"latency": None, "bytes": 3}, FLOAT)
