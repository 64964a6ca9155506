"""The error of code that cannot be read as a graph."""

from __future__ import annotations

from tfopt.errors import UnsupportedModel


class NotSymbolic(UnsupportedModel):
    """Python code cannot be read as a graph of operations; the message says why, without its subject."""


class KeepsState(NotSymbolic):
    """What a call computes depends on the calls before it, which a file does not know, in float neither."""
