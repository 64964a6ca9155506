"""Turning what tensorflow-model-optimization raises into an error that names the layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from tfopt.errors import TfoptError, UnsupportedModel, UnsupportedOperation
from tfopt.tfmot.library import tf_keras
from tfopt.tfmot.module import unwrapped


def refusal(doing: str, path: str, kind: str, reason: str, *, rule: Any = None) -> UnsupportedOperation:
    """Return the error for a layer that tensorflow-model-optimization does not take.

    Args:
        doing: `"prune"`, `"quantize"` or `"cluster"`.
        path, kind: the layer's path and class.
        reason: what is said against it.
        rule: the setting with which a rule leaves the layer out.
    """
    return UnsupportedOperation(
        f"tensorflow-model-optimization cannot {doing} {path!r} ({kind}): {' '.join(reason.split())} "
        f"{_OTHER[doing]} takes it; or leave the layer out with rules={{{path!r}: {rule!r}}}."
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
        # What runs in Keras 3, for want of a counterpart, is known to the user by its own class.
        kind = type(getattr(layer, "hosted", layer)).__name__
        raise refusal(doing, layer.name, kind, _reason(str(error), kind)) from error


def _reason(message: str, kind: str) -> str:
    """Return what an error says, without advice that holds in tf_keras alone."""
    for part, reason in _REASONS.items():
        if part in message:
            return reason.format(kind=kind)
    return message


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
