"""Optimizers that Keras lacks, for `model.compile(optimizer=...)`: `keras.optimizers.Optimizer`s."""

from tfopt.optimizers._core.base import Optimizer
from tfopt.optimizers.adabelief import AdaBelief
from tfopt.optimizers.adan import Adan
from tfopt.optimizers.ademamix import AdEMAMix
from tfopt.optimizers.adopt import ADOPT
from tfopt.optimizers.eight_bit.adamw_8bit import AdamW8bit
from tfopt.optimizers.eight_bit.lion_8bit import Lion8bit
from tfopt.optimizers.eight_bit.sgdm_8bit import SGDM8bit
from tfopt.optimizers.factored_adam import FactoredAdam
from tfopt.optimizers.lars import LARS
from tfopt.optimizers.learning_rate_free.dadapt_adam import DAdaptAdam
from tfopt.optimizers.learning_rate_free.prodigy import Prodigy
from tfopt.optimizers.mars import MARS
from tfopt.optimizers.momentum import Momentum
from tfopt.optimizers.nadamw import NadamW
from tfopt.optimizers.radam import RAdam
from tfopt.optimizers.schedule_free.schedule_free_adamw import ScheduleFreeAdamW
from tfopt.optimizers.schedule_free.schedule_free_radam import ScheduleFreeRAdam
from tfopt.optimizers.schedule_free.schedule_free_sgd import ScheduleFreeSGD
from tfopt.optimizers.shampoo import Shampoo
from tfopt.optimizers.soap import SOAP
from tfopt.optimizers.stable_adamw import StableAdamW
from tfopt.optimizers.wrappers.base import Wrapper
from tfopt.optimizers.wrappers.cautious import Cautious
from tfopt.optimizers.wrappers.gradient_centralization import GradientCentralization
from tfopt.optimizers.wrappers.layerwise_learning_rate import LayerwiseLearningRate
from tfopt.optimizers.wrappers.lookahead import Lookahead
from tfopt.optimizers.wrappers.sam import SAM
from tfopt.optimizers.wrappers.trust_ratio import TrustRatio

__all__ = [
    "ADOPT",
    "LARS",
    "MARS",
    "SAM",
    "SOAP",
    "AdEMAMix",
    "AdaBelief",
    "AdamW8bit",
    "Adan",
    "Cautious",
    "DAdaptAdam",
    "FactoredAdam",
    "GradientCentralization",
    "LayerwiseLearningRate",
    "Lion8bit",
    "Lookahead",
    "Momentum",
    "NadamW",
    "Optimizer",
    "Prodigy",
    "RAdam",
    "SGDM8bit",
    "ScheduleFreeAdamW",
    "ScheduleFreeRAdam",
    "ScheduleFreeSGD",
    "Shampoo",
    "StableAdamW",
    "TrustRatio",
    "Wrapper",
]
