"""How important each unit of a model is: one criterion a file, one interface."""

from tfopt.channels.importance.criteria import CRITERIA, samples_for, scores

__all__ = ["CRITERIA", "samples_for", "scores"]
