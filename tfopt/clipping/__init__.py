"""Gradient clipping: pure functions on lists of gradients, for training loops of one's own.

`tfopt.callbacks.GradientClipping` applies them in `fit`. All have the signature `(gradients, variables,
threshold) -> gradients`. Gradients are dense tensors, or `tf.IndexedSlices` without duplicate rows (see
`sum_duplicates`). What is not clipped comes back bit for bit.
"""

from tfopt.clipping.adaptive import adaptive
from tfopt.clipping.global_norm import global_norm
from tfopt.clipping.methods import METHODS, Method
from tfopt.clipping.norm import norm
from tfopt.clipping.slices import sum_duplicates
from tfopt.clipping.value import value

__all__ = ["METHODS", "Method", "adaptive", "global_norm", "norm", "sum_duplicates", "value"]
