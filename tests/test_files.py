import errno
from pathlib import Path

import pytest

from tfopt.errors import RunError
from tfopt.files import replacing, write_atomically


def test_writes_text_and_bytes_and_makes_folders(tmp_path):
    write_atomically(tmp_path / "a" / "b.json", "é")
    write_atomically(tmp_path / "a" / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b.json").read_text(encoding="utf-8") == "é"
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\x00\xff"
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["b.json", "c.bin"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_atomically(path, "old")

    def write_part(self, content):
        with open(self, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_part)
    with pytest.raises(RunError, match="No space left on device"):
        write_atomically(path, "new content")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_an_error_of_the_writer_passes_through_and_leaves_nothing(tmp_path):
    def write():
        with replacing(tmp_path / "model.keras") as temporary:
            assert temporary.suffix == ".keras"
            temporary.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Cannot write"):
        write_atomically(tmp_path / "file" / "run.json", "x")
