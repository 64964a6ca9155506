"""The values of constants of 16 bits, which the converter has cut off at 8 with the same scale."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tfopt.export.keras_graph.int16_as_int8 import Int16Spec


def rounded_from(int16: Int16Spec, held: np.ndarray, scale: float) -> np.ndarray:
    """Return what a constant was rounded from that is on a grid of the converter's own; if unknown, `held`.

    Args:
        int16: what has 16 bits.
        held: the values in the file, flat, float64.
        scale: theirs.
    """
    found = only(_fitting(int16.cut, held, 0.51 * scale))
    if found is not None:  # the grid is that of values that had been cut off before
        return found
    near = (
        x.ravel() for x in int16.constants if x.size == held.size and _near(x.ravel(), held, 0.51 * scale)
    )
    return np.asarray(next(near, held), np.float64)


def matrices_from(
    int16: Int16Spec, held: np.ndarray, scale: float, shape: tuple[int, ...]
) -> list[np.ndarray]:
    """Return of which matrices of the model weights hold what 8 bits can: none where they are not such.

    Args:
        int16, held, scale: see `rounded_from`.
        shape: of the weights. The converter transposes matrices, unless the model has done so already.
    """
    known = [(own, x) for own, matrix in int16.constants_of(scale) for x in (matrix.T, matrix)]
    return _fitting([(own, x) for own, x in known if x.shape == shape], held, scale)


def cut_off_from(int16: Int16Spec, held: np.ndarray, scale: float) -> np.ndarray | None:
    """Return of which values a constant on the grid of 16 bits holds what 8 bits can; None if unknown.

    Args:
        int16, held, scale: see `rounded_from`.
    """
    # The scale tells which constant it is, unless the converter has passed that on through another grid.
    # Tables that embeddings gather from have the scale of what follows them.
    for candidates in (int16.constants_of(scale), int16.cut, [(scale, values) for values in int16.constants]):
        fitting = _fitting(candidates, held, scale)
        if fitting:
            return only(fitting)
    return held if np.max(np.abs(held), initial=0) < 126.5 * scale else None


def only(values: list[np.ndarray]) -> np.ndarray | None:
    """Return the one of several, unless they differ: where all is cut off, their signs alone are left."""
    return values[0] if values and all(np.array_equal(x, values[0]) for x in values) else None


def _fitting(
    candidates: Iterable[tuple[float, np.ndarray]], held: np.ndarray, tolerance: float
) -> list[np.ndarray]:
    """Return the values of those of which 8 bits with their scale hold `held`."""
    flat = [(own, x.astype(np.float64).ravel()) for own, x in candidates if x.size == held.size]
    return [x for own, x in flat if _near(np.clip(np.rint(x / own), -128, 127) * own, held, tolerance)]


def _near(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    return bool(np.max(np.abs(one - other), initial=0) <= tolerance)
