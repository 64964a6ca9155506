"""Arrays for several inputs or outputs, brought into the order of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfopt.errors import InvalidArgumentError


def in_order(values: Any, names: Sequence[str], what: str) -> list[np.ndarray]:
    """Return one array a name.

    Args:
        values: a dict by name, a tuple or list in the order of `names`, or one array where there is one name.
        names: what the model calls its inputs (outputs), in its order.
        what: how an error message calls `values`.

    Raises:
        InvalidArgumentError: a name is missing or unknown, or the number does not fit.
    """
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise InvalidArgumentError(
                f"{what} must have one array for each of {_listed(names)}, got {_listed(list(values))}."
            )
        return [np.asarray(values[name]) for name in names]
    if isinstance(values, tuple | list):
        if len(values) != len(names):
            raise InvalidArgumentError(
                f"{what} must have one array for each of {_listed(names)}, in this order, got {len(values)}."
            )
        return [np.asarray(value) for value in values]
    if len(names) != 1:
        raise InvalidArgumentError(
            f"{what} must be a tuple or dict of {len(names)} arrays, for {_listed(names)}, got one "
            f"{type(values).__name__}."
        )
    return [np.asarray(values)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
