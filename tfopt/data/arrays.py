"""How arrays become a `Dataset`: checked, scaled, and with the splits that were missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from tfopt import _validation
from tfopt.data import checks
from tfopt.data.dataset import SPLITS, Dataset
from tfopt.data.scale import fitted, scales_of
from tfopt.data.splits import hold_out
from tfopt.data.streaming.stored import Stored, mapped, rows_of
from tfopt.data.structure import Arrays, count, leaves, map_leaves, named_map, unlisted
from tfopt.data.targets import Targets
from tfopt.errors import DataError, InvalidArgumentError

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
    scale: Any = "auto",
    normalization: str | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    stratify: bool = True,
    seed: int = 0,
) -> Dataset:
    """Make a `Dataset` of arrays, holding out the splits that are not given.

    Args:
        x_train: inputs of shape (samples, ...), or a list of samples; a tuple or dict of them, or a list of
            arrays, for a model with several inputs.
        y_train: class labels of shape (samples,) or (samples, 1), integers from 0 or text; or one-hot rows.
            A run gives them to the model as its loss wants them. With `num_classes=None` targets of any
            shape, or a tuple or dict of them.
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
            targets are not classes, as several targets never are.
        class_names: one name a class; by default, of labels that are text, these in alphabetical order.
        scale: what is done to the inputs. `"none"`; `"1/255"`, or another divisor; `"-1..1"`, which is
            x / 127.5 - 1; a function of a float32 array, samples first, such as
            `keras.applications.resnet.preprocess_input`; or input name -> one of these. `"auto"` divides
            those of dtype `uint8` by 255 and keeps all else; a run gives such images unscaled, 0 to 255, to a
            model that scales its inputs by itself. `"standardize"` subtracts the mean and divides by the
            standard deviation of each feature (the last axis) over the training split: columns of a table
            whose ranges differ would share one scale in an integer file.
        normalization: refused: it was printed and never done.
        validation: the share of the training samples held out when there is no validation split.
        test: the share of all samples held out when there is no test split. Which ones does not
            depend on `seed`: all runs are tested on the same samples.
        stratify: hold out every class in proportion.
        seed: decides which samples are for validation.

    Raises:
        DataError: the arrays are empty, differ in length or shape, hold NaN or infinity, or the labels
            are not integers from 0 to `num_classes - 1`; weights do not fit, or are of both kinds.
    """
    if normalization is not None:
        raise InvalidArgumentError(
            f"normalization={normalization!r} would be printed in the report and not be done to the inputs. "
            'Pass scale="1/255", scale="-1..1" or a function to have it done; where you have done it '
            "already, leave it out."
        )
    _check_options(num_classes, class_names, validation, test, seed)
    given = _given({"train": (x_train, y_train), "validation": (x_val, y_val), "test": (x_test, y_test)})
    weights = {"train": sample_weight, "validation": sample_weight_val, "test": sample_weight_test}
    checks.check_split(*given["train"], "train")
    targets = Targets(given["train"][1], num_classes, class_names)
    scales = scales_of(scale, given["train"][0])
    splits = _read(given, weights, targets)
    targets.require_names_fit()
    _require_inputs(splits)
    _hold_out(splits, validation, test, seed, stratify=stratify and targets.num_classes is not None)
    scales = fitted(scales, splits["train"][0])
    splits = {split: (_scaled(scales, x, split), *rest) for split, (x, *rest) in splits.items()}
    _require_one_shape(splits)
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
        arrays["class_weight"] = checks.class_weights(class_weight, arrays["y_train"], targets.num_classes)
    return Dataset(
        name=name,
        num_classes=targets.num_classes,
        scale=scales,
        class_names=targets.class_names,
        **arrays,
    )


_Splits: TypeAlias = dict[str, tuple[Arrays, ...]]
"""Split -> inputs, targets and, where there are some, sample weights."""


def _given(splits: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return the inputs and targets of the splits that were given, lists of samples as arrays.

    Raises:
        DataError: one of the two is missing, or the training samples are.
    """
    splits = {split: unlisted(x, y) for split, (x, y) in splits.items()}
    for split, (x, y) in splits.items():
        if (x is None) != (y is None):
            raise DataError(f"The {split} split needs both its inputs and its labels; one is missing.")
    given = {split: (x, y) for split, (x, y) in splits.items() if x is not None}
    if "train" not in given:
        raise DataError("Training samples are missing: give x_train and y_train.")
    return given


def _read(given: dict[str, tuple[Any, Any]], weights: dict[str, Any], targets: Targets) -> _Splits:
    """Return the splits that were given: checked, with their weights."""
    splits: _Splits = {}
    for split, (x, y) in given.items():
        checks.check_split(x, y, split)
        x = named_map(checks.as_float, x, f"x_{SPLITS[split]}")
        y = targets.read(y, f"y_{SPLITS[split]}")
        weight = weights[split]
        splits[split] = (x, y) if weight is None else (x, y, checks.sample_weights(weight, y, split))
    missing = [split for split, weight in weights.items() if weight is not None and split not in splits]
    if missing:
        raise DataError(f"There are sample weights for a split that is not given: {', '.join(missing)}.")
    return splits


def _hold_out(splits: _Splits, validation: float, test: float, seed: int, *, stratify: bool) -> None:
    """Add the splits that were not given, of samples of training."""
    for split, share, split_seed in (("test", test, _TEST_SEED), ("validation", validation, seed)):
        if split not in splits:
            splits["train"], splits[split] = _part(splits["train"], share, split_seed, stratify)


def _require_one_shape(splits: _Splits) -> None:
    shapes = {split: map_leaves(lambda array: array.shape[1:], parts[0]) for split, parts in splits.items()}
    if len({repr(shape) for shape in shapes.values()}) != 1:
        raise DataError(f"The inputs of the splits differ in shape: {shapes}. Bring them to one shape.")


def _check_options(num_classes: Any, class_names: Any, validation: Any, test: Any, seed: Any) -> None:
    """Raise unless what does not depend on the arrays is of its kind and in its range."""
    if num_classes not in ("infer", None):
        _validation.whole("from_arrays", "num_classes", num_classes, at_least=1)
    if class_names is not None and (
        isinstance(class_names, str)
        or not isinstance(class_names, Iterable)
        or not all(isinstance(name, str) for name in class_names)
    ):
        raise InvalidArgumentError(
            f"class_names must be a list of text, one name a class, got {class_names!r}."
        )
    for name, share in (("validation", validation), ("test", test)):
        _validation.number("from_arrays", name, share)
    _validation.whole("from_arrays", "seed", seed, at_least=0)


def _require_inputs(splits: _Splits) -> None:
    """Raise unless all splits have the same inputs."""
    names = sorted(name for name, _ in leaves(splits["train"][0]))
    for split, (x, *_) in splits.items():
        if sorted(name for name, _ in leaves(x)) != names:
            raise DataError(
                f"The inputs of the {split} split are not those of the train split: {', '.join(names)}."
            )


def _scaled(scales: Any, x: Arrays, split: str) -> Arrays:
    """Return the inputs of a split, scaled."""
    each = dict(leaves(scales))

    def scaled(array: Any, name: str) -> np.ndarray:
        key = name.partition("/")[2]
        scale = each[key]
        if scale.function is None:
            return array

        def of_rows(rows: np.ndarray) -> np.ndarray:
            return checks.as_float(scale(rows, name), f"{name} (scaled)")

        return mapped(of_rows, array)

    return named_map(scaled, x, f"x_{SPLITS[split]}")


def _part(
    parts: tuple[Arrays, ...], share: float, seed: int, stratify: bool
) -> tuple[tuple[Arrays, ...], tuple[Arrays, ...]]:
    """Return (kept, held out) of inputs, labels and perhaps weights."""
    classes = parts[1] if stratify and isinstance(parts[1], np.ndarray) else None
    held = hold_out(count(parts[0]), share, seed=seed, labels=classes)
    return tuple(_rows(part, ~held) for part in parts), tuple(_rows(part, held) for part in parts)


def _rows(arrays: Arrays, chosen: np.ndarray) -> Arrays:
    return map_leaves(lambda array: rows_of(array, chosen), arrays)


def _read_only(array: Any) -> Any:
    if isinstance(array, Stored):
        return array
    view = array.view()
    view.flags.writeable = False
    return view
