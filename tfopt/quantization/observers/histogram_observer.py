"""What the observers that look for a range in a histogram have in common."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tfopt.quantization.observers.histogram import Histogram


class HistogramObserver:
    """Counts the values in a histogram; a subclass finds a range in it."""

    held: ClassVar[bool] = True

    def __init__(self) -> None:
        self._seen = Histogram()

    def update(self, values: np.ndarray) -> None:
        """See a batch."""
        self._seen.update(values)

    def end_batch(self) -> None:
        """Do nothing: all values count alike, whichever batch they come in."""
