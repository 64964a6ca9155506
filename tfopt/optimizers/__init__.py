"""Optimizers that Keras lacks, for `model.compile(optimizer=...)`: `keras.optimizers.Optimizer`s."""

from tfopt.optimizers.adan import Adan
from tfopt.optimizers.base import Optimizer

__all__ = ["Adan", "Optimizer"]
