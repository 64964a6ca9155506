"""What the clipping methods share that learn their bound from the norms they have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import tensorflow as tf

from tfopt.clipping.gradients import Gradient


class Clipped(NamedTuple):
    """What a stateful method returns.

    Attributes:
        gradients: the clipped gradients, in their order.
        state: to be handed in with the next gradients; float32, of the shape of the one that came.
        bound: the norm above which these gradients were clipped; inf where none was yet.
    """

    gradients: list[Gradient]
    state: tf.Tensor
    bound: tf.Tensor


class StatefulClip(Protocol):
    """A clipping method with a memory: a pure function of gradients and state, with its options bound."""

    def initial_state(self) -> tf.Tensor:
        """Return the state before the first gradients: a float32 vector."""
        ...

    def __call__(
        self, gradients: Sequence[Gradient], state: tf.Tensor, threshold: float | tf.Tensor
    ) -> Clipped:
        """Return the clipped gradients and the state after them, which inf or NaN leave as it was."""
        ...
