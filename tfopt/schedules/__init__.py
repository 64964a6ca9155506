"""Learning-rate schedules: `keras.optimizers.schedules.LearningRateSchedule`s that Keras lacks."""

from tfopt.schedules.warmup_cosine import WarmupCosine

__all__ = ["WarmupCosine"]
