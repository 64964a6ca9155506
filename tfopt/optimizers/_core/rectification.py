"""How far the average square of the gradient can be trusted in the first steps (RAdam)."""

import math

import tensorflow as tf

from tfopt.optimizers._core.group import UpdateStep


def rectification(
    step: UpdateStep, beta_2: float, dtype: str, shortest: float = 5.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return whether the variance of the adaptive step is tractable, and the factor that levels it.

    The average square of `t` gradients is about as long as a simple average of `rho_t` of them; the variance
    of the step exists for `rho_t > 4`; the authors trust it from 5 on. Below, the factor is 1.

    Reference: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (2019, arXiv 1908.03265),
    algorithm 2.

    Args:
        step: the update.
        beta_2: fraction that the average square keeps, in [0, 1).
        dtype: of the factor.
        shortest: the length `rho_t` from which the variance counts as tractable, > 4.
    """
    longest = 2 / (1 - beta_2) - 1
    if longest < shortest:
        return tf.constant(False), tf.constant(1.0, dtype)
    # rho_t is a small difference of large numbers: in float32, four digits of the factor would be left.
    number = tf.cast(step.number, tf.float64)
    decayed = number * math.log(beta_2)
    length = longest + 2 * number * tf.exp(decayed) / tf.math.expm1(decayed)
    tractable = length >= shortest
    length = tf.where(tractable, length, longest)
    share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return tractable, tf.cast(tf.sqrt(share), dtype)
