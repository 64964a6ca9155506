"""How far the average square of the gradient can be trusted in the first steps (RAdam)."""

import math

import tensorflow as tf

from tfopt.optimizers.group import Step


def rectification(step: Step, beta_2: float, dtype: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Return whether the variance of the adaptive step is tractable, and the factor that levels it.

    The average square of `t` gradients is about as long as a simple average of `rho_t` of them; the variance
    of the step exists for `rho_t > 4`, and as the authors do, it counts from 5 on. Below, the factor is 1.

    Reference: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (2019, arXiv 1908.03265),
    algorithm 2.

    Args:
        step: the update.
        beta_2: fraction that the average square keeps, in [0, 1).
        dtype: of the factor.
    """
    longest = 2 / (1 - beta_2) - 1
    if longest < 5:
        return tf.constant(False), tf.constant(1.0, dtype)
    # rho_t is a small difference of large numbers: in float32, four digits of the factor would be left.
    number = tf.cast(step.number, tf.float64)
    decayed = number * math.log(beta_2)
    length = longest + 2 * number * tf.exp(decayed) / tf.math.expm1(decayed)
    tractable = length >= 5
    length = tf.where(tractable, length, longest)
    share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return tractable, tf.cast(tf.sqrt(share), dtype)
