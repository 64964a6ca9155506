"""Optimizers that Keras lacks, for `model.compile(optimizer=...)`: `keras.optimizers.Optimizer`s."""

from tfopt.optimizers.adabelief import AdaBelief
from tfopt.optimizers.adamw_8bit import AdamW8bit
from tfopt.optimizers.adan import Adan
from tfopt.optimizers.ademamix import AdEMAMix
from tfopt.optimizers.adopt import ADOPT
from tfopt.optimizers.base import Optimizer
from tfopt.optimizers.cautious import Cautious
from tfopt.optimizers.dadapt_adam import DAdaptAdam
from tfopt.optimizers.factored_adam import FactoredAdam
from tfopt.optimizers.gradient_centralization import GradientCentralization
from tfopt.optimizers.lars import LARS
from tfopt.optimizers.layerwise_learning_rate import LayerwiseLearningRate
from tfopt.optimizers.lion_8bit import Lion8bit
from tfopt.optimizers.lookahead import Lookahead
from tfopt.optimizers.mars import MARS
from tfopt.optimizers.momentum import Momentum
from tfopt.optimizers.nadamw import NadamW
from tfopt.optimizers.prodigy import Prodigy
from tfopt.optimizers.radam import RAdam
from tfopt.optimizers.sam import SAM
from tfopt.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from tfopt.optimizers.schedule_free_radam import ScheduleFreeRAdam
from tfopt.optimizers.schedule_free_sgd import ScheduleFreeSGD
from tfopt.optimizers.sgdm_8bit import SGDM8bit
from tfopt.optimizers.shampoo import Shampoo
from tfopt.optimizers.soap import SOAP
from tfopt.optimizers.stable_adamw import StableAdamW
from tfopt.optimizers.trust_ratio import TrustRatio
from tfopt.optimizers.wrapper import Wrapper

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
