"""The ways from one rate to another, and what is left of the first one along them."""

import math
from collections.abc import Callable
from typing import Annotated, Any

from keras import ops

from tfopt._hyperparameters import one_of

SHAPES: dict[str, Callable[[Any], Any]] = {
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + ops.cos(math.pi * progress)),
    "1-sqrt": lambda progress: 1.0 - ops.sqrt(progress),
}
"""Shape -> the share of the start that is left at a progress in [0, 1]."""

Shape = Annotated[str, one_of(*SHAPES)]


def fall(shape: str, start: Any, end: float, progress: Any) -> Any:
    """Return the rate on the way from `start` to `end`; a progress outside [0, 1] is taken as its end."""
    return end + (start - end) * SHAPES[shape](ops.clip(progress, 0.0, 1.0))


def rise(shape: str, start: Any, end: Any, progress: Any) -> Any:
    """Return the rate on the way from `start` up to `end`: the mirror image in time of `fall`."""
    return start + (end - start) * SHAPES[shape](ops.clip(1.0 - progress, 0.0, 1.0))
