"""Quantization-aware training of Keras 3 models, in the scheme of TFLite's int8 files."""

from tfopt.quantization.activation_quantizer import ActivationQuantizer
from tfopt.quantization.calibrate import calibrate
from tfopt.quantization.clusters import KeptClusters
from tfopt.quantization.fixed_quantizer import FixedQuantizer
from tfopt.quantization.freeze import freeze_batch_norm, freeze_ranges
from tfopt.quantization.kinds import left_in_float
from tfopt.quantization.mixed_precision import MixedPrecision, mixed_precision
from tfopt.quantization.quantize_aware import quantize_aware
from tfopt.quantization.round_biases import round_biases
from tfopt.quantization.scaling import Scaling
from tfopt.quantization.scheme import SCHEMES, Scheme
from tfopt.quantization.sensitivity import Sensitivity, sensitivity
from tfopt.quantization.standalone_affine import StandaloneAffine
from tfopt.quantization.standalone_relu import StandaloneReLU
from tfopt.quantization.weight_quantizer import WeightQuantizer

__all__ = [
    "SCHEMES",
    "ActivationQuantizer",
    "FixedQuantizer",
    "KeptClusters",
    "MixedPrecision",
    "Scaling",
    "Scheme",
    "Sensitivity",
    "StandaloneAffine",
    "StandaloneReLU",
    "WeightQuantizer",
    "calibrate",
    "freeze_batch_norm",
    "freeze_ranges",
    "left_in_float",
    "mixed_precision",
    "quantize_aware",
    "round_biases",
    "sensitivity",
]
