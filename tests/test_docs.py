"""Every Python example in the README and the guide runs.

The blocks of a page run one after another in one namespace, in an empty folder, with the names that the
text takes for granted: a compiled `model` for the digits, `data`, `x_train`, `y_train`, `x_test` and
`y_test`. Epochs are cut to one. A block that is not to be run is marked `py` instead of `python`.
"""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _examples(page):
    return BLOCK.findall(page.read_text())


@pytest.mark.parametrize("page", [p for p in PAGES if _examples(p)], ids=lambda p: p.stem)
def test_the_examples_of_a_page_run(page, digits, small_cnn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small_cnn()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    names = {
        "keras": keras, "np": np, "tfopt": tfopt, "model": model, "data": digits,
        "x_train": digits.x_train, "y_train": digits.y_train,
        "x_test": digits.x_test, "y_test": digits.y_test,
    }  # fmt: skip
    for number, block in enumerate(_examples(page), 1):
        source = re.sub(r"epochs=\d+", "epochs=1", block)
        exec(compile(source, f"{page.name}, example {number}", "exec"), names)
