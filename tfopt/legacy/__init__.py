"""Between Keras 3 and Keras 2 (tf_keras): models, files, weights."""

from tfopt.legacy.extra_layers import TensorFlowFunction, ThresholdedReLU
from tfopt.legacy.from_keras2.from_legacy import from_legacy
from tfopt.legacy.locally_connected import LocallyConnected1D, LocallyConnected2D
from tfopt.legacy.to_keras2.to_legacy import to_legacy

__all__ = [
    "LocallyConnected1D",
    "LocallyConnected2D",
    "TensorFlowFunction",
    "ThresholdedReLU",
    "from_legacy",
    "to_legacy",
]
