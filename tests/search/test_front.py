from hypothesis import given
from hypothesis import strategies as st

from tfopt.search.front import OBJECTIVES, non_dominated


def metrics(accuracy, size, latency):
    return {"accuracy": accuracy, "bytes": size, "latency": latency}


def test_only_what_nothing_beats_is_on_the_front():
    trials = [
        metrics(0.97, 100, 1.0),
        metrics(0.96, 90, 1.1),
        metrics(0.96, 95, 1.2),
        metrics(0.98, 300, 2.0),
    ]
    assert non_dominated(trials) == [0, 1, 3]


def test_equals_stand_beside_each_other():
    assert non_dominated([metrics(0.9, 1, 1)] * 2) == [0, 1]


def test_what_was_not_measured_is_worst():
    assert non_dominated([metrics(0.9, 1, None), metrics(0.9, 1, 5.0)]) == [1]


def test_nothing_has_an_empty_front():
    assert non_dominated([]) == []


grid = st.integers(0, 3)


@given(st.lists(st.builds(metrics, grid, grid, grid), min_size=1, max_size=12))
def test_front_is_never_empty_and_covers_everything(trials):
    front = non_dominated(trials)
    assert front
    signs = {"accuracy": -1, "bytes": 1, "latency": 1}
    for i, trial in enumerate(trials):
        covered = any(all(signs[n] * trials[j][n] <= signs[n] * trial[n] for n in OBJECTIVES) for j in front)
        assert covered, i
