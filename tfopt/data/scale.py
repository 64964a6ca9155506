"""The scaling of an input before a model sees it: the function and its name, in one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.data.streaming.stored import Stored, indexable, mean_and_deviation
from tfopt.data.structure import leaves, map_leaves
from tfopt.errors import DataError, InvalidArgumentError

AUTO = "auto"
BYTES = 255
_ROWS = 64
"""So many rows of samples that are not in memory tell what numbers they hold."""


@dataclass(frozen=True)
class Scale:
    """How an input is scaled.

    Attributes:
        name: `"none"`, `"1/N"` such as `"1/255"`, `"-1..1"`, `"standardize"`, or the name of a function.
        text: the same as a formula, for reports.
        function: what is done; `None` for nothing.
        default: whether nobody asked for it: a model that scales its inputs by itself gets them unscaled.
    """

    name: str
    text: str
    function: Callable[[np.ndarray], Any] | None = None
    default: bool = False

    def __call__(self, array: np.ndarray, what: str) -> np.ndarray:
        """Return an input, float32, scaled.

        Args:
            array: float32; it is not changed.
            what: how an error message calls it.

        Raises:
            DataError: a function of the user fails or returns something else than one row a sample.
        """
        if self.function is None:
            return array
        try:
            scaled = np.asarray(self.function(array.copy()))
        except Exception as error:
            raise DataError(
                f"scale: {self.name} fails on {what}: {type(error).__name__}: {error}."
            ) from error
        if scaled.ndim == 0 or len(scaled) != len(array) or scaled.dtype.kind not in "fiub":
            raise DataError(
                f"scale: {self.name} must return numbers, one row a sample ({len(array)} rows), got "
                f"{scaled.dtype} of shape {scaled.shape} for {what}."
            )
        return scaled.astype(np.float32, copy=False)


NONE = Scale("none", "as given")
OF_BYTES = Scale("1/255", "x / 255", lambda x: x / np.float32(BYTES), default=True)
STANDARDIZE = Scale("standardize", "(x - mean) / standard deviation of the training split")
BY_MODEL = Scale("none", "as given, 0 to 255: the model scales its inputs by itself")


def scales_of(scale: Any, x: Any) -> Any:
    """Return one `Scale` an input, in the structure of `x`.

    Args:
        scale: see `from_arrays`.
        x: the training inputs.

    Raises:
        InvalidArgumentError: `scale` is none of these, or names an input that `x` does not have.
        DataError: the inputs are scaled already.
    """
    names = [name for name, _ in leaves(x)]
    given: dict[str, Any]
    if isinstance(scale, Mapping):
        unknown = sorted(set(map(str, scale)) - set(names))
        if unknown or not isinstance(x, Mapping):
            raise InvalidArgumentError(
                f"scale has {', '.join(unknown) or 'names'}, and the inputs are "
                f"{', '.join(names) if isinstance(x, Mapping) else 'not named'}: give one scale for all, or "
                "a dict with the names of inputs that are a dict too."
            )
        given = {str(name): each for name, each in scale.items()}
    else:
        given = dict.fromkeys(names, scale)
    found = {name: _scale(given.get(name, AUTO), array, name) for name, array in leaves(x)}
    order = iter(x) if isinstance(x, Mapping) else iter(names)
    return map_leaves(lambda _: found[str(next(order))], x)


def fitted(scales: Any, x: Any) -> Any:
    """Return the scales with what `"standardize"` takes from the training inputs.

    Args:
        scales: of `scales_of`.
        x: the training inputs as float32, without the samples that are held out.
    """
    arrays = dict(leaves(x))
    found = {
        name: _standardizing(arrays[name]) if each is STANDARDIZE else each for name, each in leaves(scales)
    }
    order = iter(scales) if isinstance(scales, Mapping) else iter(found)
    return map_leaves(lambda _: found[str(next(order))], scales)


_SHOWN = 32
"""So many numbers of features are written out in a report."""


def _standardizing(x: np.ndarray) -> Scale:
    """Return the scale by the mean and standard deviation of each feature; a constant one becomes zero."""
    mean, deviation = (np.asarray(found, np.float32) for found in mean_and_deviation(x))
    # Rounding leaves a constant feature a deviation of about its size by the precision of float32.
    divisor = np.where(deviation > np.abs(mean) * 1e-6, deviation, 1).astype(np.float32)
    text = STANDARDIZE.text
    if mean.size <= _SHOWN:
        text = f"(x - {_numbers(mean)}) / {_numbers(divisor)}"
    return Scale("standardize", text, lambda array: (array - mean) / divisor)


def _numbers(values: np.ndarray) -> str:
    shown = [f"{value:.6g}" for value in np.ravel(values)]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _scale(scale: Any, array: Any, name: str) -> Scale:
    if scale == AUTO:
        return OF_BYTES if _dtype(array) == np.uint8 else NONE
    if callable(scale):
        called = getattr(scale, "__name__", type(scale).__name__)
        called = "a function" if called == "<lambda>" else called
        return Scale(called, f"{called}(x)", scale)
    if scale == "none":
        return NONE
    if scale == "standardize":
        return STANDARDIZE
    made = _named(scale)
    if made is None:
        raise InvalidArgumentError(
            f'scale must be "auto", "none", "1/255" (or another divisor), "-1..1", "standardize" or a '
            f"function of an array, got {scale!r}."
        )
    if _dtype(array) != np.uint8 and _dtype(array).kind in "fi" and np.size(values := _some(array)):
        low, high = float(np.min(values)), float(np.max(values))
        if low >= -1 and high <= 1:
            what = f"The input {name!r}" if name else "x_train"
            raise DataError(
                f"{what} holds numbers from {low:g} to {high:g}: it is scaled already, and scale={scale!r} "
                'would do so again. Leave scale out, or pass scale="none".'
            )
    return made


def _dtype(array: Any) -> np.dtype:
    return indexable(array).dtype


def _some(array: Any) -> np.ndarray:
    """Return an array, or the first rows of one that is not in memory."""
    return array[:_ROWS] if isinstance(array, Stored) else np.asarray(array)


def _named(scale: Any) -> Scale | None:
    if scale == "-1..1":
        return Scale(scale, "x / 127.5 - 1", lambda x: x / np.float32(127.5) - np.float32(1))
    match = re.fullmatch(r"1/(\d+(?:\.\d+)?)", scale) if isinstance(scale, str) else None
    if match is None or float(match[1]) == 0:
        return None
    divisor = np.float32(match[1])
    return Scale(scale, f"x / {match[1]}", lambda x: x / divisor)


def text_of(scale: Any) -> str:
    """Return what reports say of the scales of all inputs."""
    texts = {name: each.text for name, each in leaves(scale)}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{name}: {text}" for name, text in texts.items())
