"""Folders of texts."""

import numpy as np
import pytest

from tfopt.data import load_text
from tfopt.errors import DataError


def encode(text):
    return np.array([len(text), text.count("ü")])


@pytest.fixture
def reviews(tmp_path):
    for split in ("train", "test"):
        for name, text in (("pos", "schön grün"), ("neg", "übel, trüb"), ("unsup", "?")):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(10):
                (tmp_path / split / name / f"{number}.txt").write_text(text, encoding="utf-8")
    return tmp_path


def test_splits_and_classes_are_folders(reviews):
    data = load_text(reviews, encode=encode, class_of=lambda folder: None if folder == "unsup" else folder)
    assert data.class_names == ("neg", "pos")
    assert len(data.y_test) == 20
    assert data.x_test[data.y_test == 0].tolist() == [[10, 2]] * 10
    assert data.x_test[data.y_test == 1].tolist() == [[10, 1]] * 10


def test_what_is_wrong_is_said(reviews):
    with pytest.raises(DataError, match="must be a folder with one folder of text files a class"):
        load_text(reviews / "none", encode=encode)
    (reviews / "train" / "neg" / "3.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"Cannot read the text .*3\.txt: it is not UTF-8"):
        load_text(reviews, encode=encode)
