import dataclasses

import pytest

from tests.report.searches import THREE, several
from tfopt.report.progress import seconds_left, trial_line
from tfopt.run.search_record import SearchRecord


@pytest.fixture
def search():
    return SearchRecord.from_json(several(THREE) | {"seconds": 1200.0, "requested_trials": 22})


def test_it_says_how_far_the_search_is(search):
    assert trial_line(search.trial(8), search) == (
        "trial 8 (10 of 22): 16.9 kB, latency 1.10x, accuracy 95.58 %; best so far trial 2 "
        "(16.8 kB, latency 1.10x, accuracy 95.96 %); front 2; 2 workers; about 12 min left"
    )


def test_the_best_a_failed_and_a_rejected_one(search):
    assert "; best so far; front 2;" in trial_line(search.trial(2), search)
    assert trial_line(search.trial(9), search).startswith("trial 9 (10 of 22): failed: <script>")
    assert trial_line(search.trial(11), search) == "trial 11: rejected: too large"
    none = dataclasses.replace(search, best=None, front=(), trials=search.trials[:1])
    assert trial_line(none.trial(1), none).startswith("trial 1 of 22: ")
    assert "best" not in trial_line(none.trial(1), none)


def test_a_reason_of_several_lines_stays_one(search):
    broken = dataclasses.replace(search.trial(9), reason="one\ntwo")
    assert "failed: one two" in trial_line(broken, search)


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [
        ({}, 12 * 120 / 2),
        ({"requested_trials": None}, None),
        ({"requested_trials": 10}, None),
        ({"requested_hours": 0.3}, 0.3 * 3600 - 900),
        ({"requested_trials": None, "requested_epochs": 74}, 600),
        ({"requested_epochs": 74, "requested_hours": 1.0}, 600),
        ({"seconds": 0.0}, None),
    ],
)
def test_the_time_left_is_that_of_the_budget_that_ends_first(search, budget, seconds):
    found = seconds_left(dataclasses.replace(search, **budget))
    assert found == (seconds if seconds is None else pytest.approx(seconds))
