"""ZClip: the bound is so many standard deviations above the running mean of the norm."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import tensorflow as tf

from tfopt._hyperparameters import Count, Flag, Fraction, Positive, check_fields, one_of
from tfopt.clipping.gradients import Gradient, l2_norm, scale_to
from tfopt.clipping.stateful import Clipped


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZClip:
    """Shrinks all gradients where their common norm is an outlier among the recent ones.

    With running mean `mu` and standard deviation `sigma` of the norm `n`, its score is
    `z = (n - mu) / (sigma + epsilon)`. A norm with `z > threshold` is brought to
    `mu + threshold sigma / (z / threshold)`: the farther out, the smaller. The averages then take in the norm
    as clipped. They start as mean and (population) variance of the norms of the warm-up.

    Reference: Kumar et al., ZClip: Adaptive Spike Mitigation for LLM Pre-Training (2025, arXiv 2504.02507),
    algorithm 1, and the authors' code, from which the options are.

    Args:
        alpha: fraction that the averages keep, in [0, 1).
        warmup_steps: updates that are only watched, >= 1.
        mode: `"zscore"`; or `"percentile"`: what exceeds `mu + threshold sigma` is brought to that.
        clip_option: in the mode `"zscore"`, `"adaptive_scaling"` as above; or `"mean"`: to `mu`.
        max_grad_norm: another bound, also in the warm-up, > 0; `None` for none. (By default the authors'
            code has 1.0, the paper none.)
        epsilon: > 0.
        clip_factor: what `"adaptive_scaling"` brings an outlier to is multiplied by this, > 0.
        skip_update_on_spike: leave the averages as they are where the norm was an outlier.

    Raises:
        InvalidArgumentError: an option is out of its range.

    Example:
        >>> clip = ZClip(max_grad_norm=1.0)
        >>> state = clip.initial_state()
        >>> gradients, state, bound = clip(gradients, state, 2.5)
    """

    alpha: Fraction = 0.97
    warmup_steps: Count = 25
    mode: Annotated[str, one_of("zscore", "percentile")] = "zscore"
    clip_option: Annotated[str, one_of("adaptive_scaling", "mean")] = "adaptive_scaling"
    max_grad_norm: Positive | None = None
    epsilon: Positive = 1e-6
    clip_factor: Positive = 1.0
    skip_update_on_spike: Flag = False

    def __post_init__(self) -> None:
        check_fields("zclip", self)

    def initial_state(self) -> tf.Tensor:
        """Return the state before the warm-up: number of norms, their mean and variance."""
        return tf.zeros(3)

    def __call__(
        self, gradients: Sequence[Gradient], state: tf.Tensor, threshold: float | tf.Tensor = 2.5
    ) -> Clipped:
        """Clip what lies more than `threshold` standard deviations, > 0, above the mean."""
        norm = l2_norm(list(gradients))
        count, mean, variance = tf.unstack(state)
        deviation = tf.sqrt(variance)
        score = (norm - mean) / (deviation + self.epsilon)
        warm = count >= self.warmup_steps
        spike = warm & (score > threshold if self.mode == "zscore" else norm > mean + threshold * deviation)
        effective = tf.where(spike, self._brought_to(mean, deviation, score, threshold), norm)

        largest = float("inf") if self.max_grad_norm is None else self.max_grad_norm
        bounds = tf.minimum(effective, largest)
        # The authors' code divides by the norm plus 1e-6, as torch does.
        clipped = [scale_to(g, norm, bounds, 1e-6) for g in gradients]

        kept = ~tf.math.is_finite(norm) | (spike & self.skip_update_on_spike)
        new = tf.where(warm, self._averaged(state, effective), self._warmed(state, norm))
        margin = deviation + (self.epsilon if self.mode == "zscore" else 0.0)
        bound = tf.minimum(tf.where(warm, mean + threshold * margin, float("inf")), largest)
        return Clipped(clipped, tf.where(kept, state, new), bound)

    def _brought_to(
        self, mean: tf.Tensor, deviation: tf.Tensor, score: tf.Tensor, threshold: float | tf.Tensor
    ) -> tf.Tensor:
        """Return the norm to which an outlier is brought."""
        if self.mode == "percentile":
            return mean + threshold * deviation
        if self.clip_option == "mean":
            return mean
        return (mean + threshold * deviation / (score / threshold)) * self.clip_factor

    def _averaged(self, state: tf.Tensor, norm: tf.Tensor) -> tf.Tensor:
        count, mean, variance = tf.unstack(state)
        mean = self.alpha * mean + (1 - self.alpha) * norm
        # The authors take the distance from the new mean.
        variance = self.alpha * variance + (1 - self.alpha) * tf.square(norm - mean)
        return tf.stack([count, mean, variance])

    def _warmed(self, state: tf.Tensor, norm: tf.Tensor) -> tf.Tensor:
        """Return count, mean and variance of the norms of the warm-up with one more (Welford)."""
        count, mean, variance = tf.unstack(state)
        change = norm - mean
        mean = mean + change / (count + 1)
        variance = (variance * count + change * (norm - mean)) / (count + 1)
        return tf.stack([count + 1, mean, variance])
