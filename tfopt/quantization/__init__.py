"""Quantization-aware training of Keras 3 models, in the scheme of TFLite's int8 files."""

from tfopt.quantization.activation_quantizer import ActivationQuantizer, FixedQuantizer
from tfopt.quantization.calibrate import calibrate
from tfopt.quantization.kinds import left_in_float
from tfopt.quantization.quantize_aware import quantize_aware
from tfopt.quantization.scaling import Scaling
from tfopt.quantization.standalone_affine import StandaloneAffine
from tfopt.quantization.weight_quantizer import WeightQuantizer

__all__ = [
    "ActivationQuantizer",
    "FixedQuantizer",
    "Scaling",
    "StandaloneAffine",
    "WeightQuantizer",
    "calibrate",
    "left_in_float",
    "quantize_aware",
]
