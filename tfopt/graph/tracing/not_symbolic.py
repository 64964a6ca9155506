"""The error of code that cannot be read as a graph."""

from __future__ import annotations

from tfopt.errors import UnsupportedModel


class NotSymbolic(UnsupportedModel):
    """Python code cannot be read as a graph of operations; the message says why, without its subject."""


class KeepsState(NotSymbolic):
    """The outputs of a call depend on the calls before it, and a file keeps no state between calls."""
