"""Quantization-aware training of Keras 3 models, in the scheme of TFLite's int8 files."""

from tfopt.quantization.activation_quantizer import ActivationQuantizer, FixedQuantizer
from tfopt.quantization.calibrate import calibrate
from tfopt.quantization.quantize_aware import quantize_aware
from tfopt.quantization.standalone_batch_norm import StandaloneBatchNormalization
from tfopt.quantization.weight_quantizer import WeightQuantizer

__all__ = [
    "ActivationQuantizer",
    "FixedQuantizer",
    "StandaloneBatchNormalization",
    "WeightQuantizer",
    "calibrate",
    "quantize_aware",
]
