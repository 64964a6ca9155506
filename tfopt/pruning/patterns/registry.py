"""Patterns by their names."""

from __future__ import annotations

import re
from difflib import get_close_matches

from tfopt.errors import InvalidArgumentError
from tfopt.pruning.patterns.base import Pattern
from tfopt.pruning.patterns.block import Block
from tfopt.pruning.patterns.n_m import NOfM
from tfopt.pruning.patterns.unstructured import Unstructured

_EXAMPLES = ("unstructured", "2:4", "1:4", "4:8", "1x4", "4x1", "1x16", "4x4")


def pattern_of(name: str | None) -> Pattern:
    """Return the pattern of a name: `"unstructured"` or None, `"n:m"`, `"rows x columns"` as `"1x4"`.

    Raises:
        InvalidArgumentError: there is none.
    """
    if name is None or name == Unstructured.name:
        return Unstructured()
    if isinstance(name, str):
        if found := re.fullmatch(r"(\d+):(\d+)", name):
            n, m = map(int, found.groups())
            if 0 < n < m:
                return NOfM(n, m)
            raise InvalidArgumentError(
                f"The pattern {name!r} must keep 1 or more of more weights than it keeps, such as '2:4' for "
                "at most two in every four."
            )
        if found := re.fullmatch(r"(\d+)x(\d+)", name):
            outputs, inputs = map(int, found.groups())
            if outputs * inputs > 1:
                return Block(outputs, inputs)
            raise InvalidArgumentError(
                f"The pattern {name!r} is no block of several weights: leave pattern None for single "
                "weights, or give such as '1x4'."
            )
    close = get_close_matches(str(name).replace("*", "x").replace("/", ":"), _EXAMPLES, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    raise InvalidArgumentError(
        f"Expected pattern to be None or 'unstructured' for single weights, 'n:m' such as '2:4', or a block "
        f"of outputs x inputs such as '1x4'; got {name!r}.{meant}"
    )
