"""Callbacks for `model.fit(callbacks=[...])`."""

from tfopt.callbacks.gradient_clipping import GradientClipping
from tfopt.callbacks.gradient_monitor import GradientMonitor
from tfopt.callbacks.pruning_schedule import PruningSchedule

__all__ = ["GradientClipping", "GradientMonitor", "PruningSchedule"]
