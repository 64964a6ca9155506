"""Quantization-aware training of Keras 3 models, in the scheme of TFLite's int8 files."""

from tfopt.clustering.constraint import KeptClusters
from tfopt.quantization.layers.scaling import Scaling
from tfopt.quantization.layers.standalone_batch_norm import StandaloneAffine
from tfopt.quantization.layers.standalone_relu import StandaloneReLU
from tfopt.quantization.mixed_precision.mixed_precision import MixedPrecision, mixed_precision
from tfopt.quantization.mixed_precision.sensitivity import Sensitivity, sensitivity
from tfopt.quantization.planning.in_float import left_in_float
from tfopt.quantization.planning.quantization_plan import QuantizationPlan
from tfopt.quantization.qat.calibrate import calibrate
from tfopt.quantization.qat.freeze import freeze_batch_norm, freeze_ranges
from tfopt.quantization.qat.plan import plan
from tfopt.quantization.qat.quantize_aware import quantize_aware
from tfopt.quantization.qat.round_biases import round_biases
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.quantizers.weight import WeightQuantizer
from tfopt.quantization.scheme import SCHEMES, Scheme

__all__ = [
    "SCHEMES",
    "ActivationQuantizer",
    "FixedQuantizer",
    "KeptClusters",
    "MixedPrecision",
    "QuantizationPlan",
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
    "plan",
    "quantize_aware",
    "round_biases",
    "sensitivity",
]
