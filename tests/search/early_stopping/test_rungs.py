from collections import Counter

import pytest

from tfopt.search.early_stopping.rungs import bracket, rungs


@pytest.mark.parametrize(
    ("stage", "run", "expected"),
    [
        (20, 65, [2, 7, 20]),  # 65 / 3 is beyond the first training
        (27, 27, [1, 3, 9]),
        (20, 23, [3, 8]),
        (9, 100, [1, 4, 9]),
        (2, 2, []),
        (3, 3, [1]),
        (1, 4, [1]),
        (1, 1, []),
    ],
)
def test_each_rung_is_a_third_of_the_next(stage, run, expected):
    assert rungs(stage, run) == expected


def test_another_reduction():
    assert rungs(16, 16, reduction=2) == [1, 2, 4, 8]
    assert rungs(16, 16, reduction=4) == [1, 4]


def test_brackets_have_the_shares_of_hyperband_and_stay():
    names = [f"{number:08x}" for number in range(20_000)]
    found = Counter(bracket(name, 3) for name in names)
    # n = ceil(4 / (s + 1) * 3 ** s) for s = 3, 2, 1, 0
    for skipped, share in enumerate([27, 12, 6, 4]):
        assert found[skipped] / len(names) == pytest.approx(share / 49, rel=0.1)
    assert bracket("abc", 3) == bracket("abc", 3)
    assert {bracket(name, 0) for name in names[:50]} == {0}
