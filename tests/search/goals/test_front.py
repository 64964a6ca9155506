import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.search.goals.front import knee, non_dominated


def test_only_what_nothing_beats_is_on_the_front():
    trials = [(-0.97, 100, 1.0), (-0.96, 90, 1.1), (-0.96, 95, 1.2), (-0.98, 300, 2.0)]
    assert non_dominated(trials) == [0, 1, 3]


def test_equals_stand_beside_each_other():
    assert non_dominated([(0.9, 1)] * 2) == [0, 1]


def test_what_was_not_measured_is_worst():
    assert non_dominated([(0.9, math.inf), (0.9, 5.0)]) == [1]


def test_nothing_has_an_empty_front():
    assert non_dominated([]) == []


def test_of_one_objective_the_best():
    assert non_dominated([(2.0,), (1.0,), (1.0,)]) == [1, 2]


grid = st.integers(0, 3)


@settings(deadline=None)
@given(st.lists(st.tuples(grid, grid, grid), min_size=1, max_size=12))
def test_front_is_never_empty_and_covers_everything(trials):
    front = non_dominated(trials)
    assert front
    for i, trial in enumerate(trials):
        covered = any(all(a <= b for a, b in zip(trials[j], trial, strict=True)) for j in front)
        assert covered, i


@pytest.mark.parametrize(
    ("front", "bend"),
    [
        ([(0.0, 1.0), (0.2, 0.2), (1.0, 0.0)], 1),
        ([(0.0, 100.0), (1.0, 40.0), (2.0, 5.0), (10.0, 0.0)], 2),
        ([(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)], None),  # a straight line
        ([(0.0, 1.0), (0.8, 0.8), (1.0, 0.0)], None),  # bent to the other side
        ([(0.0, 1.0), (1.0, 0.0)], None),
        ([(0.0,), (0.0,), (0.0,)], None),
        ([(0.0, 0.0)] * 3, None),
        ([(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (0.2, 0.2, 0.2)], 3),
        ([], None),
    ],
)
def test_where_a_front_bends(front, bend):
    assert knee(front) == bend


SHARES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
"""Far enough apart to stay apart when they are shifted."""


@settings(deadline=None)
@given(
    st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=8),
    st.floats(0.1, 100),
    st.floats(-5, 5),
)
def test_the_knee_is_farthest_below_the_line_between_the_ends(points, scale, shift):
    front = sorted({points[i] for i in non_dominated(points)})
    bend = knee([(a * scale + shift, b) for a, b in front])
    (x0, y0), (x1, y1) = front[0], front[-1]
    # Twice the area of the triangle of a point and the ends: its distance from their line, times a constant.
    below = [(x1 - x0) * (y0 - y) - (x - x0) * (y0 - y1) for x, y in front]
    least = 1e-6 * (x1 - x0) * (y0 - y1)
    if bend is None:
        assert max(below) <= least
    else:
        assert below[bend] >= max(below) - least > 0
