"""Imports every module that registers a class with Keras, so that saved models load after `import tfopt`."""

import tfopt.callbacks
import tfopt.clustering
import tfopt.legacy
import tfopt.optimizers
import tfopt.pruning
import tfopt.quantization
import tfopt.schedules
import tfopt.tfmot  # noqa: F401 (imported for their registration)
