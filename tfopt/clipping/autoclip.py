"""AutoClip: the bound is a percentile of all norms so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tfopt._hyperparameters import Count, check_fields
from tfopt.clipping.gradients import Gradient, l2_norm, scale_to
from tfopt.clipping.stateful import Clipped


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoClip:
    """Shrinks all gradients to a percentile of the history of their common norm, this one included.

    With the percentile 10 about nine updates of ten are clipped: the steps keep one size, which falls as the
    norms fall. Percentiles between two norms are interpolated linearly, as NumPy does.

    Reference: Seetharaman et al., AutoClip: Adaptive Gradient Clipping for Source Separation Networks (2020,
    arXiv 2007.14469), algorithm 1.

    Args:
        history: how many norms are remembered, >= 1; the oldest goes first. The paper remembers all; the
            authors' version for TensorFlow 10,000.

    Raises:
        InvalidArgumentError: `history` is no whole number >= 1.

    Example:
        >>> clip = AutoClip()
        >>> state = clip.initial_state()
        >>> gradients, state, bound = clip(gradients, state, 10.0)
    """

    history: Count = 10_000

    def __post_init__(self) -> None:
        check_fields("autoclip", self)

    def initial_state(self) -> tf.Tensor:
        """Return an empty history."""
        return tf.zeros(1 + self.history)

    def __call__(
        self, gradients: Sequence[Gradient], state: tf.Tensor, threshold: float | tf.Tensor = 10.0
    ) -> Clipped:
        """Clip by the percentile `threshold`, in [0, 100], of the norms in `state` and this one."""
        norm = l2_norm(list(gradients))
        new = self._remember(state, norm)
        bound = _percentile(new[1:], tf.minimum(new[0], self.history), threshold)
        finite = tf.math.is_finite(norm)
        return Clipped([scale_to(g, norm, bound) for g in gradients], tf.where(finite, new, state), bound)

    def _remember(self, state: tf.Tensor, norm: tf.Tensor) -> tf.Tensor:
        """Return the state with one norm more: how many there were, then a ring of them."""
        count, ring = state[0], state[1:]
        slot = tf.cast(count, tf.int32) % self.history
        ring = tf.where(tf.range(self.history) == slot, norm, ring)
        # A float32 counts to 2^24 only. Once the ring is full, all that matters is the slot.
        count = tf.where(count + 1 < 2 * self.history, count + 1, count + 1 - self.history)
        return tf.concat([[count], ring], axis=0)


def _percentile(ring: tf.Tensor, filled: tf.Tensor, percent: float | tf.Tensor) -> tf.Tensor:
    """Return a percentile of the first `filled` entries, interpolated linearly."""
    used = tf.range(ring.shape[0]) < tf.cast(filled, tf.int32)
    ordered = tf.sort(tf.where(used, ring, float("inf")))
    position = tf.cast(percent, tf.float32) / 100.0 * (filled - 1.0)
    below = tf.clip_by_value(tf.cast(position, tf.int32), 0, tf.cast(filled, tf.int32) - 1)
    above = tf.minimum(below + 1, tf.cast(filled, tf.int32) - 1)
    low, high = tf.gather(ordered, below), tf.gather(ordered, above)
    return low + (high - low) * (position - tf.cast(below, tf.float32))
