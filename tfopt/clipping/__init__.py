"""Gradient clipping: pure functions on lists of gradients, for training loops of one's own.

`tfopt.callbacks.GradientClipping` applies them in `fit`. Those without memory have the signature
`(gradients, variables, threshold) -> gradients`; `AutoClip` and `ZClip` hand their memory from call to call:
`(gradients, state, threshold) -> (gradients, state, bound)`. Gradients are dense tensors, or
`tf.IndexedSlices` without duplicate rows (see `sum_duplicates`). What is not clipped comes back bit for bit.
"""

from tfopt.clipping.adaptive import adaptive
from tfopt.clipping.autoclip import AutoClip
from tfopt.clipping.block_rms import block_rms
from tfopt.clipping.global_norm import global_norm
from tfopt.clipping.gradients import sum_duplicates
from tfopt.clipping.methods import METHODS, Method
from tfopt.clipping.norm import norm
from tfopt.clipping.stateful import Clipped, StatefulClip
from tfopt.clipping.value import value
from tfopt.clipping.zclip import ZClip

__all__ = [
    "METHODS",
    "AutoClip",
    "Clipped",
    "Method",
    "StatefulClip",
    "ZClip",
    "adaptive",
    "block_rms",
    "global_norm",
    "norm",
    "sum_duplicates",
    "value",
]
