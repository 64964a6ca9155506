"""How a wrapped model was made, as data: tensorflow-model-optimization cannot read back what it writes."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import zlib
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.clustering.kept import release
from tfopt.pruning.masks import constrain, masked

_MIXED = re.compile(r'"mixed_b?float16"')


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrappingRecipe:
    """What is needed to wrap the same model again.

    Attributes:
        source: the config of the Keras 3 model, as JSON text, for Keras takes configs apart that it reads.
        method: what is done to it, a key of `tfopt.tfmot.methods.METHODS`.
        options: the method's own, JSON values.
        weights: the source's weights, packed to text, where the structure of the wrapped model depends on
            them (its clusters, its zeros); None elsewhere.
    """

    source: str
    method: str
    options: dict[str, Any]
    weights: str | None = None

    @classmethod
    def of(
        cls, model: keras.Model, method: str, options: dict[str, Any], *, with_weights: bool
    ) -> WrappingRecipe:
        """Return the recipe that wraps `model`."""
        source = keras.saving.serialize_keras_object(model)
        source.pop("compile_config", None)
        weights = _packed(model.get_weights()) if with_weights else None
        return cls(source=json.dumps(source), method=method, options=options, weights=weights)

    def model(self) -> keras.Model:
        """Return the Keras 3 model: with new weights, but those that the recipe keeps."""
        model = keras.saving.deserialize_keras_object(json.loads(self.source))
        if self.weights is not None:
            model.set_weights(_unpacked(self.weights))
        return model

    def in_float32(self) -> WrappingRecipe:
        """Return the recipe for the same model without mixed precision."""
        return dataclasses.replace(self, source=_MIXED.sub('"float32"', self.source))


def unmasked(model: keras.Model) -> keras.Model:
    """Return a copy of `model` without sparsity masks and clusters; other constraints stay.

    tf_keras does not know tfopt's constraints, and the library keeps clusters by itself, where it is told to.
    """
    plain = graph.copy(model)
    release(plain)
    for entry in masked(plain):
        constrain(entry.kernel, entry.mask.constraint)
    return plain


def _packed(arrays: list[np.ndarray]) -> str:
    file = io.BytesIO()
    np.savez(file, *arrays)
    return base64.b64encode(zlib.compress(file.getvalue(), 9)).decode("ascii")


def _unpacked(text: str) -> list[np.ndarray]:
    with np.load(io.BytesIO(zlib.decompress(base64.b64decode(text)))) as file:
        return [file[name] for name in file.files]
