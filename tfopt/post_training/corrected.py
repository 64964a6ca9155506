"""Several corrections of a model, one after another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import keras

from tfopt.data.representative import Representative
from tfopt.post_training.adaround import adaround
from tfopt.post_training.bias_correction import bias_correction
from tfopt.post_training.cross_layer_equalization import cross_layer_equalization


def _equalized(model: keras.Model, _: Representative | None, **__: Any) -> keras.Model:
    return cross_layer_equalization(model)


CORRECTIONS: Mapping[str, Callable[..., keras.Model]] = {
    "cross_layer_equalization": _equalized,
    "adaround": adaround,
    "bias_correction": bias_correction,
}
"""Name -> the correction, in their order: scales first, then rounding, then the shift that is left."""


def corrected(
    model: keras.Model, names: Collection[str], data: Representative | None, **options: Any
) -> keras.Model:
    """Return a copy of `model` with the corrections called `names`.

    Args:
        model: a built Sequential or functional model in float.
        names: keys of `CORRECTIONS`, in any order.
        data: representative samples; `None` does for `"cross_layer_equalization"`.
        **options: `bits` and `per_channel`, as `adaround` takes them.
    """
    for name, correct in CORRECTIONS.items():
        if name in names:
            model = correct(model, data, **options)
    return model
