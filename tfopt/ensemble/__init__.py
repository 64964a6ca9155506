"""Models made of several: gradient boosting of Keras learners."""

from tfopt.ensemble.gradient_boosting import BoostedModel, GradientBoosting

__all__ = ["BoostedModel", "GradientBoosting"]
