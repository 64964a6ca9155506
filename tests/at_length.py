"""Which rows of a table `make test` runs: some of each kind. `make test-all` runs all."""

import pytest


def some(rows, quick):
    """Return rows as parameters of a test, those that are not in `quick` marked as slow."""
    rows, quick = list(rows), set(quick)
    assert quick <= set(rows), f"no such row: {quick - set(rows)}"
    return [row if row in quick else _slow(row) for row in rows]


def _slow(row):
    values = row if isinstance(row, tuple) else (row,)
    return pytest.param(*values, marks=pytest.mark.slow)
