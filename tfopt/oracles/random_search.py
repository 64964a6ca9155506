"""Random search."""

from __future__ import annotations

import keras_tuner

from tfopt.oracles.durable import DurableOracle


class RandomOracle(DurableOracle, keras_tuner.oracles.RandomSearchOracle):
    """keras-tuner's random search; no combination of values is tried twice.

    Args: see `OptunaOracle`. Several objectives and constraints change nothing but what is the best.
    """
