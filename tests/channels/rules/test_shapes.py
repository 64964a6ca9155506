"""Which axes become which in a reshape."""

import pytest

from tfopt.channels.rules.shapes import blocks


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((None, 4, 4, 8), (None, 16, 8), [([0], [0]), ([1, 2], [1]), ([3], [2])]),
        ((None, 5, 12), (None, 5, 3, 4), [([0], [0]), ([1], [1]), ([2], [2, 3])]),
        ((None, 8), (None, 1, 1, 8), [([0], [0]), ([1], [1, 2, 3])]),
        ((None, 1, 1, 8), (None, 8), [([0], [0]), ([1, 2, 3], [1])]),
        ((None, 4, 6), (None, 6, 4), [([0], [0]), ([1, 2], [1, 2])]),
        ((None, 4, 4, 8), (None, 8), [([0, 1, 2], [0]), ([3], [1])]),
        ((None, None, 8), (None, 8), [([0, 1], [0]), ([2], [1])]),
        ((None, None, 8), (None, None, 2, 4), [([0], [0]), ([1], [1]), ([2], [2, 3])]),
        ((6, 4), (24,), [([0, 1], [0])]),
        ((None, 8), (None, 8, 1), [([0], [0]), ([1], [1]), ([], [2])]),
    ],
)
def test_blocks(old, new, expected):
    assert blocks(old, new) == expected
