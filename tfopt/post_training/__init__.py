"""Corrections of a float model before it is quantized, for models that lose accuracy by it.

Each is a function from a model to a model of the same structure: `cross_layer_equalization` moves scales
between layers, `adaround` chooses which way each weight is rounded, `bias_correction` takes back the shift
that rounding leaves. `tfopt.to_tflite(..., corrections=[...])` does them in this order.
"""

from tfopt.post_training.adaround import adaround
from tfopt.post_training.bias_correction import bias_correction
from tfopt.post_training.corrected import CORRECTIONS, corrected
from tfopt.post_training.cross_layer_equalization import cross_layer_equalization

__all__ = ["CORRECTIONS", "adaround", "bias_correction", "corrected", "cross_layer_equalization"]
