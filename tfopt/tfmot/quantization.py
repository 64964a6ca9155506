"""Wrapping with `quantize_apply`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfopt.tfmot.decomposed import DEPTHWISE, POINTWISE
from tfopt.tfmot.library import tf_keras, tfmot
from tfopt.tfmot.refusals import explained, refusal

LIBRARY_SCHEMES: dict[str, Callable[[], Any]] = {
    "default_8bit": lambda: _default().Default8BitQuantizeScheme(),
    "preserve_sparsity": lambda: _combined().Default8BitPrunePreserveQuantizeScheme(),
    "preserve_cluster": lambda: _combined().Default8BitClusterPreserveQuantizeScheme(),
    "preserve_cluster_and_sparsity": lambda: _combined().Default8BitClusterPreserveQuantizeScheme(
        preserve_sparsity=True
    ),
}
"""Name -> how tensorflow-model-optimization makes the scheme."""


_SPLIT_BY_LAMBDAS = {"SeparableConv1D"}
"""Layers that it takes apart into some that its own reading of the model refuses."""


def _default() -> Any:
    return tfmot().quantization.keras.default_8bit


def _combined() -> Any:
    return tfmot().experimental.combine


def wrap(legacy: Any, options: dict[str, Any]) -> Any:
    """Return the quantization-aware model.

    Args:
        legacy: a tf_keras model without nested ones.
        options: `scheme`, a key of `LIBRARY_SCHEMES`; `float`, the paths of layers that stay in float;
            `arguments`, those of `quantize_apply`.
    """
    library = tfmot().quantization.keras
    in_float = {path.replace("/", ".") for path in options["float"]}
    in_float |= {name + suffix for name in in_float for suffix in (DEPTHWISE, POINTWISE)}

    def annotate(layer: Any) -> Any:
        if layer.name in in_float:
            return layer
        if type(layer).__name__ in _SPLIT_BY_LAMBDAS:
            reason = "it makes Lambda layers of {kind}, which cannot be read back."
            raise refusal("quantize", layer.name, layer, reason)
        return library.quantize_annotate_layer(layer)

    with explained("quantize"), library.quantize_scope():
        annotated = tf_keras().models.clone_model(legacy, clone_function=annotate)
        scheme = LIBRARY_SCHEMES[options["scheme"]]()
        module = library.quantize_apply(annotated, scheme=scheme, **options["arguments"])
    return module
