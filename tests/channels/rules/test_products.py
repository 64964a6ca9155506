"""The labels of axes in an equation."""

import pytest

from tfopt.channels.rules.products import einsum_labels


@pytest.mark.parametrize(
    ("equation", "ranks", "operands", "output"),
    [
        ("ij,jk->ik", (2, 2), [["i", "j"], ["j", "k"]], ["i", "k"]),
        ("ij,jk", (2, 2), [["i", "j"], ["j", "k"]], ["i", "k"]),
        ("...x,xy->...y", (4, 2), [[-3, -2, -1, "x"], ["x", "y"]], [-3, -2, -1, "y"]),
        ("...a,...a->...", (2, 3), [[-1, "a"], [-2, -1, "a"]], [-2, -1]),
        ("b t d -> t b", (3,), [["b", "t", "d"]], ["t", "b"]),
    ],
)
def test_labels(equation, ranks, operands, output):
    assert einsum_labels(equation, ranks) == (operands, output)
