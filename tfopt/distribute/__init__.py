"""Training on several devices and machines: strategies by name, and Keras's `fit` under them."""

from tfopt.distribute.keras_adapter import check_jit_compile, training
from tfopt.distribute.strategies import NAMES, Choice, check_single_process, choose, describe, resolve
from tfopt.distribute.workers import group_of, multi_worker, started, taking_part

__all__ = [
    "NAMES",
    "Choice",
    "check_jit_compile",
    "check_single_process",
    "choose",
    "describe",
    "group_of",
    "multi_worker",
    "resolve",
    "started",
    "taking_part",
    "training",
]
