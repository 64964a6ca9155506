import numpy as np
import pytest

from tests.channels.hand_made import chain
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.costs.operators.latency_table import ONE, LatencyTable, OperatorTimes

LEVELS = np.array([[2, 4, 8], [4, 8, 16]])


@pytest.fixture
def table():
    """Return a bilinear operator, one of a single row, and one that is always the same."""
    bilinear = OperatorTimes((0, 1), LEVELS, 1 + np.outer(LEVELS[0], LEVELS[1]))
    single = OperatorTimes((1, ONE), np.stack([LEVELS[1], [-1, 0, 1]]), np.outer([1.0, 5.0, 6.0], np.ones(3)))
    constant = OperatorTimes((ONE, ONE), np.array([[-1, 0, 1]] * 2), np.full((3, 3), 0.5))
    return LatencyTable([bilinear, single, constant])


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((8, 16), 1 + 128 + 6 + 0.5),
        ((5, 12), 1 + 60 + 5.5 + 0.5),
        ((2, 4), 1 + 8 + 1 + 0.5),
        ((2, 3), 1 + 6 + 0 + 0.5),  # below what was measured the line goes on
        ((1, 1), 1 + 1 + 0 + 0.5),  # and never below zero
    ],
)
def test_between_what_was_measured(table, sizes, expected):
    assert table.at(np.array(sizes, float)) == pytest.approx(expected)
    assert table.at(np.array([[sizes, sizes]], float)).shape == (1, 2)


def test_the_parts_add_up():
    costs = ModelCosts(chain((8, 16)))
    rows = [costs.sizes.row(group.units) for group in costs.sizes.groups]
    bilinear = OperatorTimes((rows[0], rows[1]), LEVELS, np.outer(LEVELS[0], LEVELS[1]).astype(float))
    table = LatencyTable(
        [bilinear, OperatorTimes((rows[1], ONE), np.stack([LEVELS[1], [-1, 0, 1]]), np.ones((3, 3)))]
    )
    widths = np.array([5, 9])
    parts = [function(widths[list(groups)]) for groups, function in table.parts(costs.sizes)]
    assert sum(parts) == pytest.approx(5 * 9 + 1)
    assert [groups for groups, _ in table.parts(costs.sizes)] == [(0, 1), (1,)]
