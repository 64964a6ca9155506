"""Wrapping with `prune_low_magnitude`, and the masks of a wrapped model."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfopt.tfmot import schedules
from tfopt.tfmot.library import tfmot
from tfopt.tfmot.module import clone, layers
from tfopt.tfmot.refusals import explained, refusal


def wrap(legacy: Any, options: dict[str, Any]) -> Any:
    """Return the model with a pruning wrapper around each layer that has a setting and weights to prune.

    Args:
        legacy: a tf_keras model.
        options: `layers`, layer path -> schedule as JSON; `named`, the paths that the user asked for by
            name; `ours`, those that tfopt's own engine prunes; `wrapper`, further arguments of
            `prune_low_magnitude`.
    """
    library = tfmot().sparsity.keras
    arguments = {key: _tuple(value) for key, value in options["wrapper"].items()}

    def replace(path: str, layer: Any) -> Any:
        schedule = options["layers"].get(path)
        if schedule is None:
            return layer
        ours = path in options["ours"]
        try:
            wrapped = library.prune_low_magnitude(
                layer, pruning_schedule=schedules.from_json(schedule), **arguments
            )
        except ValueError as error:
            if "supported layer" not in str(error):
                raise
            reason = "it knows no weights to prune in {kind}."
            raise refusal("prune", path, layer, reason, ours=ours) from error
        if wrapped.layer.get_prunable_weights():
            return wrapped
        if path in options["named"]:
            raise refusal("prune", path, layer, "it never prunes {kind}.", ours=ours)
        return layer

    with explained("prune"):
        module = clone(legacy, replace)
    for wrapper in wrappers(module):
        wrapper.pruning_step.assign(0)  # else only its own callback makes it train
    return module


def strip(module: Any) -> Any:
    """Return the tf_keras model without wrappers, its pruned weights zero."""
    apply_masks(module)
    return tfmot().sparsity.keras.strip_pruning(module)


def wrappers(module: Any) -> list[Any]:
    """Return the pruning wrappers of a model."""
    return [layer for _, layer in layers(module) if hasattr(layer, "pruning_vars")]


def masks(module: Any) -> dict[str, list[tuple[Any, np.ndarray]]]:
    """Return layer path -> (`tf.Variable`, boolean mask, True where a weight lives) of what is pruned."""
    return {
        path: [(weight, mask.numpy() != 0) for weight, mask, _ in layer.pruning_vars]
        for path, layer in layers(module)
        if hasattr(layer, "pruning_vars")
    }


def apply_masks(module: Any) -> None:
    """Make every pruned weight zero again."""
    for wrapper in wrappers(module):
        wrapper.pruning_obj.weight_mask_op()


def prune_now(module: Any) -> None:
    """Set the masks by the weights as they are, to what the schedules begin with."""
    for wrapper in wrappers(module):
        # N:M masks are only ever made at step 1, others where the schedule begins.
        wrapper.pruning_step.assign(1 if wrapper.sparsity_m_by_n else 0)
        wrapper.pruning_obj.conditional_mask_update()
        wrapper.pruning_step.assign(0)
    apply_masks(module)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
