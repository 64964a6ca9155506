"""What an observer is: it sees activations while a model is calibrated, and names a range for them."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np


class Observer(Protocol):
    """Sees the values of one tensor batch by batch. A new one for each tensor."""

    held: ClassVar[bool]
    """Whether training keeps the range as it is; else a moving average goes on from it."""

    def update(self, values: np.ndarray) -> None:
        """See values of a batch: any shape, any floating dtype. Those that are not finite do not count."""

    def end_batch(self) -> None:
        """Take what was seen since the last call as one batch: tensors that share a range come in turn."""

    def range(self, num_bits: int, symmetric: bool) -> tuple[float, float] | None:
        """Return the range (minimum, maximum) of what was seen, or None where nothing finite was.

        Args:
            num_bits: of the integers that the range will be divided into.
            symmetric: whether the range will be widened to one that is symmetric about 0.
        """


def finite(values: np.ndarray) -> np.ndarray:
    """Return the finite values in float32, flat."""
    flat = np.asarray(values, np.float32).ravel()
    mask = np.isfinite(flat)
    return flat if mask.all() else flat[mask]
