"""The methods of tensorflow-model-optimization that a model can be wrapped by, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfopt.tfmot import clustering, pruning, quantization
from tfopt.tfmot.decomposed import decomposed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One thing that can be done to a model.

    Attributes:
        wrap: (tf_keras model, options) -> wrapped tf_keras model.
        strip: wrapped -> tf_keras model of the structure that was wrapped; None where the wrapped model
            itself goes to a file.
        prepare: what the Keras 3 model has to go through before.
        needs_weights: options -> whether the structure of the wrapped model depends on the weights.
    """

    wrap: Callable[[Any, dict[str, Any]], Any]
    strip: Callable[[Any], Any] | None = None
    prepare: Callable[[keras.Model], keras.Model] | None = None
    needs_weights: Callable[[Mapping[str, Any]], bool] = lambda options: False  # noqa: ARG005


METHODS = {
    "prune": Method(wrap=pruning.wrap, strip=pruning.strip),
    "quantize": Method(
        wrap=quantization.wrap,
        prepare=decomposed,
        needs_weights=lambda options: options["scheme"] != "default_8bit",
    ),
    "cluster": Method(
        wrap=clustering.wrap,
        strip=clustering.strip,
        needs_weights=lambda options: bool(options["wrapper"].get("preserve_sparsity")),
    ),
}
