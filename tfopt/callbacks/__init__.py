"""Callbacks for `model.fit(callbacks=[...])`."""

from tfopt.callbacks.average_weights import AverageWeights
from tfopt.callbacks.batch_size_ramp import BatchSizeRamp
from tfopt.callbacks.evaluate_at_average import EvaluateAtAverage
from tfopt.callbacks.gradient_clipping import GradientClipping
from tfopt.callbacks.gradient_monitor import GradientMonitor
from tfopt.callbacks.learning_rate_finder import LearningRateFinder
from tfopt.callbacks.pruning_schedule import PruningSchedule
from tfopt.callbacks.quantization_schedule import QuantizationSchedule
from tfopt.callbacks.reduce_on_plateau import ReduceOnPlateau
from tfopt.callbacks.schedule_learning_rate import ScheduleLearningRate
from tfopt.callbacks.schedule_momentum import ScheduleMomentum

__all__ = [
    "AverageWeights",
    "BatchSizeRamp",
    "EvaluateAtAverage",
    "GradientClipping",
    "GradientMonitor",
    "LearningRateFinder",
    "PruningSchedule",
    "QuantizationSchedule",
    "ReduceOnPlateau",
    "ScheduleLearningRate",
    "ScheduleMomentum",
]
