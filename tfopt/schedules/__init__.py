"""Learning-rate schedules: `keras.optimizers.schedules.LearningRateSchedule`s that Keras lacks."""

from tfopt.schedules.chain import Chain
from tfopt.schedules.cosine_restarts import CosineRestarts
from tfopt.schedules.cyclic import Cyclic
from tfopt.schedules.exponential import Exponential
from tfopt.schedules.inverse_sqrt import InverseSqrt
from tfopt.schedules.linear import Linear
from tfopt.schedules.noam import Noam
from tfopt.schedules.one_cycle import OneCycle
from tfopt.schedules.plotting import plot
from tfopt.schedules.polynomial import Polynomial
from tfopt.schedules.rex import REX
from tfopt.schedules.sequence import Sequence
from tfopt.schedules.step import Step
from tfopt.schedules.updates import Updates
from tfopt.schedules.warmup import Warmup
from tfopt.schedules.warmup_cosine import WarmupCosine
from tfopt.schedules.warmup_stable_decay import WarmupStableDecay

__all__ = [
    "REX",
    "Chain",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "InverseSqrt",
    "Linear",
    "Noam",
    "OneCycle",
    "Polynomial",
    "Sequence",
    "Step",
    "Updates",
    "Warmup",
    "WarmupCosine",
    "WarmupStableDecay",
    "plot",
]
