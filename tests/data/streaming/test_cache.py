import numpy as np
import pytest

from tfopt.data.streaming import disk
from tfopt.data.streaming.cache import cached
from tfopt.data.streaming.disk import DiskRows
from tfopt.data.streaming.stored import Stored
from tfopt.errors import DataError, InvalidArgumentError


@pytest.fixture
def counted():
    """Rows, and the indices that were read of them."""
    rows, asked = np.random.default_rng(0).integers(0, 256, (40, 3, 2), dtype=np.uint8), []

    def read(indices):
        asked.extend(indices.tolist())
        return rows[indices]

    held = Stored(shape=rows.shape, dtype=rows.dtype, read=read, digest=lambda: "d", place="a test")
    return held, rows, asked


@pytest.mark.parametrize("where", ["memory", "disk", "folder"])
def test_each_row_is_read_once(counted, where, tmp_path):
    held, rows, asked = counted
    kept = cached(held, tmp_path if where == "folder" else where)
    for key in ([3, 1, 3], slice(0, 10), [30, 2, 31], slice(None)):
        np.testing.assert_array_equal(kept[key], rows[key])
    once = [index for index in asked if index != 3]  # which was asked for twice at once
    assert sorted(once) == [index for index in range(40) if index != 3]
    assert kept.digest() == "d"
    assert "cached in" in kept.place
    assert not list(tmp_path.iterdir())  # the file has no name that could be left behind


def test_without_a_cache_nothing_changes(counted):
    assert cached(counted[0], None) is counted[0]


def test_what_cannot_be_a_cache(counted, tmp_path, monkeypatch):
    with pytest.raises(InvalidArgumentError, match='"memory", "disk" or a folder that exists'):
        cached(counted[0], tmp_path / "none")
    monkeypatch.setattr(disk, "_KEPT_FREE", 2**60)
    with pytest.raises(DataError, match=r"The cache of the samples would take .* GiB free\. Set TMPDIR"):
        cached(counted[0], tmp_path)
    assert len(cached(counted[0], "memory")) == 40


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_rows_come_back_from_disk(shape, tmp_path):
    rows = np.random.default_rng(0).normal(size=(30, *shape)).astype(np.float32)
    held = DiskRows(tmp_path, shape, rows.dtype)
    held.append(0, rows[:20])
    held.append(20, rows[20:])
    for indices in ([], [4], [7, 8, 9, 2, 3, 29], list(range(30))):
        np.testing.assert_array_equal(held.read(np.array(indices, np.int64)), rows[np.array(indices, int)])
    held.write(np.array([3, 1]), rows[:2])
    np.testing.assert_array_equal(held.read(np.array([1, 3])), rows[[1, 0]])
    with pytest.raises(DataError, match="shorter than it was written"):
        held.read(np.array([30]))
