"""Equations are read as NumPy reads them."""

import numpy as np
import pytest

from tfopt.quantization.canonicalize.decompose.einsum_equation import Equation, read


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("b i j , b k j -> b i k", [(2, 3, 4), (2, 5, 4)]),
        ("BIj,BKj->BIK", [(2, 3, 4), (2, 5, 4)]),
        ("...ij,...kj->...ik", [(2, 3, 4), (2, 5, 4)]),
        ("...ij,jk->...ik", [(2, 6, 3, 4), (4, 5)]),
        ("...j,...j->...", [(2, 3, 4), (3, 4)]),
        ("ij,jk", [(3, 4), (4, 5)]),
        ("ji,jk", [(4, 3), (4, 5)]),
        ("bij,jk,blk->bil", [(2, 3, 4), (4, 5), (2, 6, 5)]),
    ],
)
def test_spelled_out_it_is_the_same(equation, shapes):
    arrays = [np.random.default_rng(0).normal(size=shape) for shape in shapes]
    found = read(equation, [len(shape) for shape in shapes])
    spelled = f"{','.join(found.operands)}->{found.result}"
    np.testing.assert_allclose(np.einsum(spelled, *arrays), np.einsum(equation, *arrays), atol=1e-12)


def test_operands_keep_their_labels():
    assert read("ab, bC -> aC", (2, 2)) == Equation(("ab", "bC"), "aC")


@pytest.mark.parametrize(
    ("equation", "ranks"), [("ii->i", (2,)), ("ij,jk->ik", (2, 3)), ("ij->ij", (2, 2)), ("ij->ik", (2,))]
)
def test_diagonals_and_what_does_not_fit_have_no_reading(equation, ranks):
    assert read(equation, ranks) is None
