"""Whether data is what a recipe was written for; what is not is said in one sentence, before any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfopt.data.structure import fits, leaves
from tfopt.errors import DataError

if TYPE_CHECKING:
    from tfopt.data.dataset import Dataset


def require(
    data: Dataset,
    *,
    input_shape: Any = None,
    target_shape: Any = None,
    classes: bool | int | None = None,
    labels_below: int | Mapping[str, int] | None = None,
    why: str = "",
) -> None:
    """Raise unless the data fits; see `Dataset.require`."""
    if classes is not None:
        _require_classes(data, classes, why)
    _require_shapes(data, "inputs", data.x_train, input_shape, why)
    _require_shapes(data, "targets", data.y_train, target_shape, why)
    if labels_below is not None:
        _require_labels(data, labels_below, why)


def _require_classes(data: Dataset, classes: bool | int, why: str) -> None:
    found = data.num_classes
    if classes is False:
        if found is not None:
            raise _misfit(data, f"its targets are {found} classes", "targets that are numbers", why)
    elif found is None:
        raise _misfit(data, "its targets are no classes", "labels of classes, one a sample", why)
    elif classes is not True and found != classes:
        raise _misfit(data, f"it has {found} classes", str(classes), why)


def _require_shapes(data: Dataset, what: str, arrays: Any, expected: Any, why: str) -> None:
    if expected is None:
        return
    shapes = {name: array.shape[1:] for name, array in leaves(arrays)}
    wanted = dict(leaves(expected)) if isinstance(expected, Mapping) else {"": tuple(expected)}
    if set(shapes) != set(wanted):
        found = ", ".join(shapes) if "" not in shapes else "one array"
        asked = ", ".join(wanted) if "" not in wanted else "one array"
        raise _misfit(data, f"its {what} are {found}", asked, why)
    for name, shape in shapes.items():
        if not fits(shape, wanted[name]):
            named = f" {name!r}" if name else ""
            raise _misfit(
                data, f"its {what}{named} are of shape {_text(shape)} a sample", _text(wanted[name]), why
            )


def _require_labels(data: Dataset, below: int | Mapping[str, int], why: str) -> None:
    limits = (
        {str(name): limit for name, limit in below.items()} if isinstance(below, Mapping) else {"": below}
    )
    for part in (data.y_train, data.y_val, data.y_test):
        for name, array in leaves(part):
            if name not in limits:
                continue
            wrong = (array < 0) | (array >= limits[name]) | (array != np.floor(array))
            if np.any(wrong):
                called = f" {name!r}" if name else ""
                value = array[wrong].flat[0]
                expected = f"whole numbers from 0 to {limits[name] - 1}"
                raise _misfit(data, f"its targets{called} hold {value:g}, which is no class", expected, why)


def _misfit(data: Dataset, found: str, expected: str, why: str) -> DataError:
    reason = f" {why}" if why else ""
    return DataError(f"The data {data.name!r} does not fit: {found}, and expected is {expected}.{reason}")


def _text(shape: Any) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"
