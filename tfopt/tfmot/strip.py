"""From a wrapped model back to the Keras 3 model that it was made of."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.legacy.state import Pair, copy_state
from tfopt.measure.kernels import kernels
from tfopt.pruning import apply_masks
from tfopt.pruning.mask import SparsityMask, constraint_of
from tfopt.pruning.masks import constrain
from tfopt.tfmot import pruning
from tfopt.tfmot.bridge import bridge_of
from tfopt.tfmot.methods import METHODS
from tfopt.tfmot.module import layers, own_name


def strip(model: keras.Model) -> keras.Model:
    """Return the Keras 3 model that was wrapped, with the weights that it has now.

    What was pruned is exactly zero and stays so: its kernels get a `tfopt.pruning.SparsityMask`, as from
    `tfopt.prune`. What was clustered has as many different weights a kernel as there are clusters.

    Args:
        model: what `tfopt.prune` or `tfopt.cluster` returned with `engine="tfmot"`, trained or not.

    Raises:
        InvalidArgumentError: it is not such a model, or a quantization-aware one, which goes to a file as it
            is.
    """
    bridge = bridge_of(model)
    if bridge is None:
        raise InvalidArgumentError(
            f"The model {model.name!r} is not wrapped by tensorflow-model-optimization: expected what "
            'tfopt.prune(model, engine="tfmot") returns.'
        )
    remove = METHODS[bridge.recipe.method].strip
    if remove is None:
        raise InvalidArgumentError(
            "A quantization-aware model of tensorflow-model-optimization is not stripped: write it with "
            "tfopt.to_tflite(model)."
        )
    with model.distribute_strategy.scope():
        masks = pruning.masks(bridge.module)
        result = bridge.source()
        places = dict(layers(remove(bridge.module)))
        layers_with_weights = [(path, layer) for path, layer in graph.layers(result) if layer.weights]
        copy_state([Pair(places[path], layer, layer.trainable) for path, layer in layers_with_weights])
        _mask(result, masks)
        apply_masks(result)
    return result


def _mask(model: keras.Model, masks: dict[str, list[tuple[Any, np.ndarray]]]) -> None:
    """Hold the zeros of pruned kernels, in exchange for masks that they had."""
    for kernel in kernels(model):
        pruned = masks.get(kernel.layer_path, ())
        alive = next((mask for weight, mask in pruned if _is(weight, kernel.variable)), None)
        if alive is None:
            continue
        before = constraint_of(kernel.variable)
        if isinstance(before, SparsityMask):
            alive, before = alive & before.value, before.constraint
        constrain(kernel, SparsityMask(alive, constraint=before))


def _is(weight: Any, variable: keras.Variable) -> bool:
    name = own_name(weight)
    same = name == variable.name or name.endswith(variable.name) or variable.name.endswith(name)
    return same and tuple(weight.shape) == tuple(variable.shape)
