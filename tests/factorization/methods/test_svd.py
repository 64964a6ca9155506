import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.factorization.methods.svd import TruncatedSVD, tails


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 1000))
def test_the_error_is_the_tail_of_the_squared_singular_values(rows, columns, seed):
    matrix = np.random.default_rng(seed).standard_normal((rows, columns))
    svd = TruncatedSVD(matrix)
    values = np.linalg.svd(matrix, compute_uv=False)
    norm = (values**2).sum()
    assert svd.rank == len(values)
    for rank in range(1, svd.rank + 1):
        first, second = svd.factors(rank)
        assert (first.shape, second.shape) == ((rows, rank), (rank, columns))
        expected = (values[rank:] ** 2).sum() / norm
        np.testing.assert_allclose(((matrix - first @ second) ** 2).sum() / norm, expected, atol=1e-12)
        np.testing.assert_allclose(svd.errors[rank], expected, atol=1e-12)


def test_both_factors_share_the_singular_values_evenly():
    matrix = np.random.default_rng(0).standard_normal((9, 5))
    first, second = TruncatedSVD(matrix).factors(5)
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(first, axis=0), np.sqrt(values))
    np.testing.assert_allclose(np.linalg.norm(second, axis=1), np.sqrt(values))


def test_tiny_singular_values_do_not_spoil_the_product():
    generator = np.random.default_rng(0)
    left, _ = np.linalg.qr(generator.standard_normal((30, 8)))
    right, _ = np.linalg.qr(generator.standard_normal((8, 8)))
    matrix = left * np.logspace(0, -14, 8) @ right
    first, second = TruncatedSVD(matrix).factors(8)
    np.testing.assert_allclose(first @ second, matrix, atol=1e-15)
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()


def test_a_matrix_of_zeros_has_factors_of_zeros():
    for shape in ((4, 3), (3, 4)):
        first, second = TruncatedSVD(np.zeros(shape)).factors(2)
        assert not (first @ second).any()
        assert not TruncatedSVD(np.zeros(shape)).errors.any()


def test_tails_are_shares_of_what_is_left():
    np.testing.assert_allclose(tails(np.array([6.0, 3.0, 1.0])), [1.0, 0.4, 0.1, 0.0])
