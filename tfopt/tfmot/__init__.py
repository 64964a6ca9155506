"""The second engine: tensorflow-model-optimization, trained by Keras 3.

It is imported when it is first used, and leaves the process as it was.
"""

from tfopt.tfmot.bridge import TFMOTModel, bridge_of
from tfopt.tfmot.functions import cluster, prune, quantize_aware
from tfopt.tfmot.strip import strip

__all__ = ["TFMOTModel", "bridge_of", "cluster", "prune", "quantize_aware", "strip"]
