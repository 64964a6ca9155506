import numpy as np
import pytest

from tfopt.data.streaming import stored
from tfopt.data.streaming.stored import Stored, mean_and_deviation
from tfopt.errors import DataError


def of_rows(array, read=None):
    return Stored(
        shape=array.shape,
        dtype=array.dtype,
        read=read or (lambda indices: array[indices]),
        digest=lambda: "digest",
        place="a test",
    )


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(3, 2, (50, 4, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "key", [3, -1, slice(2, 9), slice(None, None, 7), np.array([5, 0, 5]), np.arange(50) % 3 == 0]
)
def test_it_is_indexed_as_the_array_is(rows, key):
    np.testing.assert_array_equal(of_rows(rows)[key], rows[key])


def test_it_has_one_axis_to_index(rows):
    held = of_rows(rows)
    assert (len(held), held.ndim, held.shape, held.nbytes) == (50, 3, (50, 4, 3), rows.nbytes)
    with pytest.raises(IndexError, match="first axis alone"):
        held[:, 0]
    with pytest.raises(IndexError):
        held[50]


def test_rows_and_functions_of_rows_are_read_when_they_are_asked_for(rows):
    asked = []

    def read(indices):
        asked.append(indices)
        return rows[indices]

    some = of_rows(rows, read).rows(np.arange(50) > 9).map(lambda part: part[..., :2] * 2)
    assert some.shape == (40, 4, 2)
    assert sum(map(len, asked)) <= 1  # one tells the shape
    np.testing.assert_array_equal(some[[0, 5]], rows[[10, 15], :, :2] * 2)
    np.testing.assert_array_equal(asked[-1], [10, 15])


def test_digests_tell_rows_and_functions_apart(rows):
    held = of_rows(rows)
    found = [
        held.digest(),
        held.rows(np.arange(5)).digest(),
        held.rows(np.arange(6)).digest(),
        held.map(lambda part: part * 2).digest(),
        held.map(lambda part: part * 3).digest(),
    ]
    assert len(set(found)) == len(found)
    assert held.map(lambda part: part * 2).digest() == found[3]


def test_it_becomes_an_array_where_that_is_small_enough(rows, monkeypatch):
    np.testing.assert_array_equal(np.asarray(of_rows(rows)), rows)
    monkeypatch.setattr(stored, "LIMIT", 1000)
    with pytest.raises(DataError, match=r"All 50 samples are needed .* kept in a test\. Give a part of them"):
        np.asarray(of_rows(rows))
    assert len(np.asarray(of_rows(rows)[:10])) == 10  # as the error says


@pytest.mark.parametrize("shape", [(1000,), (1000, 3), (1000, 4, 3)])
def test_moments_are_those_of_the_array(shape):
    # A mean far from 0: the difference of two large sums would have no digits left.
    array = np.random.default_rng(0).normal(1e4, 1, shape).astype(np.float32)
    for found, expected in zip(
        mean_and_deviation(of_rows(array), 170), mean_and_deviation(array), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
