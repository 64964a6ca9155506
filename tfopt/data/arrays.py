"""How arrays become a `Dataset`: checked, normalized, and with the splits that were missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tfopt.data import checks
from tfopt.data.dataset import SPLITS, Dataset
from tfopt.data.splits import hold_out
from tfopt.data.structure import Arrays, count, leaves, map_leaves
from tfopt.errors import DataError

_TEST_SEED = 0
"""Which samples are for testing never depends on a run's seed, so that all runs meet the same test."""


def from_arrays(
    x_train: Any,
    y_train: Any,
    *,
    x_val: Any = None,
    y_val: Any = None,
    x_test: Any = None,
    y_test: Any = None,
    sample_weight: Any = None,
    sample_weight_val: Any = None,
    sample_weight_test: Any = None,
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
    name: str = "arrays",
    num_classes: int | Literal["infer"] | None = "infer",
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    stratify: bool = True,
    seed: int = 0,
) -> Dataset:
    """Make a `Dataset` of arrays, holding out the splits that are not given.

    Args:
        x_train: inputs of shape (samples, ...); `uint8` is divided by 255, all else kept, as float32.
            A tuple or dict of arrays for a model with several inputs.
        y_train: class labels, integers from 0, shape (samples,) or (samples, 1); with
            `num_classes=None` targets of any shape, or a tuple or dict of them.
        x_val, y_val, x_test, y_test: the held-out splits, or `None`.
        sample_weight: how much each training sample counts, shape (samples,); with several targets one such
            array for all, or one a target in the structure of `y_train`. Splits that are held out take theirs
            along.
        sample_weight_val, sample_weight_test: the same for splits that are given.
        class_weight: class -> how much its samples count in training, 1 where it is not named; or
            `"balanced"`: samples / (classes * samples of the class). As in `keras.Model.fit`, not together
            with `sample_weight`, and not in evaluation.
        name: what reports call the data.
        num_classes: the number of classes; `"infer"` takes it from the labels, `None` means that the
            targets are not classes.
        class_names: one name a class.
        normalization: what you did to the inputs before, such as `"x / 16"`, for the report.
        validation: the share of the training samples held out when there is no validation split.
        test: the share of all samples held out when there is no test split. Which ones does not
            depend on `seed`: all runs are tested on the same samples.
        stratify: hold out every class in proportion.
        seed: decides which samples are for validation.

    Raises:
        DataError: the arrays are empty, differ in length or shape, hold NaN or infinity, or the labels
            are not integers from 0 to `num_classes - 1`; weights do not fit, or are of both kinds.
    """
    given = {"train": (x_train, y_train), "validation": (x_val, y_val), "test": (x_test, y_test)}
    for split, (x, y) in given.items():
        if (x is None) != (y is None):
            raise DataError(f"The {split} split needs both its inputs and its labels; one is missing.")
    given = {split: (x, y) for split, (x, y) in given.items() if x is not None}
    if "train" not in given:
        raise DataError("Training samples are missing: give x_train and y_train.")

    if normalization is None:
        scaled = any(np.asarray(array).dtype == np.uint8 for _, array in leaves(x_train))
        normalization = "x / 255" if scaled else "as given"
    given_weights = {"train": sample_weight, "validation": sample_weight_val, "test": sample_weight_test}
    splits: dict[str, tuple[Arrays, ...]] = {}
    classes = None if num_classes == "infer" else num_classes
    for split, (x, y) in given.items():
        checks.check_split(x, y, split)
        x = _named_map(checks.normalized, x, f"x_{SPLITS[split]}")
        if num_classes is None:
            y = _named_map(checks.as_float, y, f"y_{SPLITS[split]}")
        else:
            y = checks.integer_labels(y, f"y_{SPLITS[split]}")
            classes = classes or max(len(class_names or ()), int(y.max()) + 1)
            checks.check_range(y, classes, f"y_{SPLITS[split]}")
        weights = given_weights.pop(split)
        splits[split] = (x, y) if weights is None else (x, y, checks.sample_weights(weights, y, split))
    missing = [split for split, weights in given_weights.items() if weights is not None]
    if missing:
        raise DataError(f"There are sample weights for a split that is not given: {', '.join(missing)}.")
    if class_names is not None and len(class_names) != classes:
        raise DataError(f"There are {len(class_names)} class names for {classes} classes.")

    stratify = stratify and classes is not None
    for split, share, split_seed in (("test", test, _TEST_SEED), ("validation", validation, seed)):
        if split not in splits:
            splits["train"], splits[split] = _part(splits["train"], share, split_seed, stratify)
    shapes = {split: map_leaves(lambda array: array.shape[1:], parts[0]) for split, parts in splits.items()}
    if len({repr(shape) for shape in shapes.values()}) != 1:
        raise DataError(f"The inputs of the splits differ in shape: {shapes}. Bring them to one shape.")
    arrays: dict[str, Any] = {
        f"{part}_{SPLITS[split]}": map_leaves(_read_only, values)
        for split, parts in splits.items()
        for part, values in zip(("x", "y", "sample_weight"), parts, strict=False)
    }
    if class_weight is not None:
        if sample_weight is not None:
            raise DataError(
                "Keras takes class_weight or sample_weight, not both: multiply them yourself, "
                "sample_weight * [class_weight[label] for label in y_train], and give sample_weight alone."
            )
        arrays["class_weight"] = checks.class_weights(class_weight, arrays["y_train"], classes)
    return Dataset(
        name=name,
        num_classes=classes,
        normalization=normalization,
        class_names=None if class_names is None else tuple(class_names),
        **arrays,
    )


def _named_map(check: Callable[[Any, str], np.ndarray], arrays: Any, name: str) -> Arrays:
    """Apply a check to each array, telling it the array's name."""
    checked = {key: check(array, f"{name}{key and '/' + key}") for key, array in leaves(arrays)}
    if isinstance(arrays, Mapping):
        return checked
    return tuple(checked.values()) if isinstance(arrays, tuple | list) else checked[""]


def _part(
    parts: tuple[Arrays, ...], share: float, seed: int, stratify: bool
) -> tuple[tuple[Arrays, ...], tuple[Arrays, ...]]:
    """Return (kept, held out) of inputs, labels and perhaps weights."""
    labels = parts[1] if stratify and isinstance(parts[1], np.ndarray) else None
    held = hold_out(count(parts[0]), share, seed=seed, labels=labels)
    return tuple(_rows(part, ~held) for part in parts), tuple(_rows(part, held) for part in parts)


def _rows(arrays: Arrays, chosen: np.ndarray) -> Arrays:
    return map_leaves(lambda array: array[chosen], arrays)


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
