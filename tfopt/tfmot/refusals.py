"""Errors of tensorflow-model-optimization as errors that name the layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from tfopt.errors import TfoptError, UnsupportedModel, UnsupportedOperation
from tfopt.tfmot.library import tf_keras
from tfopt.tfmot.module import unwrapped


def refusal(doing: str, path: str, layer: Any, reason: str, *, ours: bool = True) -> UnsupportedOperation:
    """Return the error for a layer that tensorflow-model-optimization does not take.

    Args:
        doing: `"prune"`, `"quantize"` or `"cluster"`.
        path, layer: the layer's path, and the tf_keras layer.
        reason: what is said against it; `{kind}` in it is the layer's class.
        ours: whether tfopt's own engine takes the layer.
    """
    # What runs in Keras 3, for want of a counterpart, is known to the user by its own class.
    kind = type(getattr(layer, "hosted", layer)).__name__
    other = _OTHER[doing] if ours else "No other engine of tfopt"
    reason = " ".join(reason.replace("{kind}", kind).split())
    return UnsupportedOperation(
        f"tensorflow-model-optimization cannot {doing} {path!r} ({kind}): {reason} "
        f"{other} takes it; or leave the layer out with rules={{{path!r}: None}}."
    )


_OTHER = {
    "prune": 'tfopt.prune with engine="keras"',
    "quantize": 'tfopt.quantize_aware with engine="keras"',
    "cluster": "No other engine of tfopt",
}


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Re-raise an error of tensorflow-model-optimization as one that names the layer it stumbled over."""
    try:
        yield
    except TfoptError:
        raise
    except Exception as error:
        layer = _culprit(error.__traceback__)
        if layer is None:
            raise UnsupportedModel(
                f"tensorflow-model-optimization cannot {doing} this model: {' '.join(str(error).split())} "
                f"{_OTHER[doing]} may take it."
            ) from error
        raise refusal(doing, layer.name, layer, _reason(str(error))) from error


def _reason(message: str) -> str:
    """Return what an error says, without advice that holds in tf_keras alone."""
    return next((reason for part, reason in _REASONS.items() if part in message), message)


_REASONS = {
    "You can quantize this layer by passing": "it has no rule for {kind}.",
    "Only some Keras activations": "it has no rule for its activation, unless that is a layer of its "
    "own which a rule leaves out.",
}
"""A part of a message -> what to say in its place."""


def _culprit(traceback: TracebackType | None) -> Any | None:
    """Return the layer in the innermost frame that works on one."""
    found = None
    while traceback is not None:
        local = traceback.tb_frame.f_locals
        for name in ("self", "layer"):
            value = unwrapped(local.get(name))
            if isinstance(value, tf_keras().layers.Layer) and not isinstance(value, tf_keras().Model):
                found = value
        traceback = traceback.tb_next
    return found
