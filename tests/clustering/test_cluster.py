"""What `tfopt.cluster` says where it cannot help; what it makes is tested with its engine."""

import keras
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError

MODEL = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


def test_the_engine_of_keras_does_not_cluster_yet():
    with pytest.raises(InvalidArgumentError, match='engine="keras" does not cluster yet'):
        tfopt.cluster(MODEL, 4, engine="keras")


def test_an_unknown_engine_is_named():
    with pytest.raises(InvalidArgumentError, match="'torch'"):
        tfopt.cluster(MODEL, 4, engine="torch")
