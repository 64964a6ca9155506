"""Clipping the norm of all gradients together."""

from collections.abc import Sequence

import tensorflow as tf

from tfopt.clipping.gradients import Gradient, l2_norm, scale_to


def global_norm(
    gradients: Sequence[Gradient],
    variables: Sequence,  # noqa: ARG001 (one signature for all methods)
    threshold: float | tf.Tensor,
) -> list[Gradient]:
    """Shrink all gradients by one factor where their common Euclidean norm exceeds `threshold`.

    The direction of the step stays. Reference: Pascanu et al., On the difficulty of training recurrent
    neural networks (2013), section 3.2.

    Args:
        gradients: dense tensors or `tf.IndexedSlices`.
        variables: not used.
        threshold: largest norm of the gradients as one vector, > 0.
    """
    total = l2_norm(list(gradients))
    return [scale_to(g, total, threshold) for g in gradients]
