"""Choices are tried until the measured cost meets the limit, however wrong the predictions are."""

import pytest

from tfopt.budgets.attempts import NEAR, Attempt, best_attempt
from tfopt.budgets.correction import Correction
from tfopt.errors import GoalError

WHOLE = 100


def _search(limits, cost, *, step=1, attempts=None):
    """Return the best number up to `WHOLE` in steps, predicted to cost itself, in fact `cost` of it."""

    def propose(aims):
        number = max(step, int(min(aims.values()) // step) * step)
        return Attempt(choice=number, key=number, predicted=dict.fromkeys(limits, float(number)))

    def measured(number):
        if attempts is not None:
            attempts.append(number)
        return {name: cost(number) for name in limits}

    whole = dict.fromkeys(limits, float(WHOLE))
    correction = Correction(limits, whole, {name: cost(WHOLE) for name in limits})
    return best_attempt(correction, propose, measured, what="numbers")


@pytest.mark.parametrize("name", ["bytes", "latency", "macs"])
@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.9])
@pytest.mark.parametrize(
    "cost",
    [
        lambda n: float(n),
        lambda n: 0.8 * n + 30,
        lambda n: 1.3 * n - 0.002 * n * n + 2,
        lambda n: float(n) if n == WHOLE else 1.15 * n,  # what is smaller costs more than it is predicted to
    ],
)
def test_a_limit_is_met_and_nearly_used(name, share, cost):
    limit = cost(1) + share * (cost(WHOLE) - cost(1))
    number, found = _search({name: limit}, cost)
    assert found == {name: cost(number)}
    assert found[name] <= limit
    assert found[name] >= NEAR * limit or cost(number + 1) > limit * 0.995


def test_what_is_counted_takes_one_attempt():
    attempts = []
    assert _search({"macs": 37.0}, float, attempts=attempts)[0] == 37
    assert attempts == [37]


def test_coarse_choices_end_with_the_best_below_the_limit():
    assert _search({"bytes": 60.0}, lambda n: 1.1 * n, step=25)[0] == 50


def test_the_tightest_of_several_limits_counts():
    number, found = _search({"bytes": 80.0, "macs": 40.0}, float)
    assert number == 40
    assert found == {"bytes": 40.0, "macs": 40.0}


def test_what_nothing_meets_is_an_error_with_the_closest():
    attempts = []
    with pytest.raises(GoalError, match=r"No numbers were found.*that were tried need bytes 51") as error:
        _search({"bytes": 50.0}, lambda n: n / 100 + 50.5, attempts=attempts)
    assert error.value.best["bytes"] == min(attempts) / 100 + 50.5
