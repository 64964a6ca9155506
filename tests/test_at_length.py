"""The table of what is left to `make test-all` names tests that there are."""

from pathlib import Path

import pytest

from tests.at_length import ROWS


@pytest.mark.parametrize("file", ROWS)
def test_they_are_there(file):
    text = (Path(__file__).parent / file).read_text()
    for test in ROWS[file]:
        assert f"def {test}(" in text
