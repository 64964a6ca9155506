"""Schemes are data."""

import dataclasses
import json

import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.quantization import SCHEMES, Scheme
from tfopt.quantization.scheme import scheme_of

BLOCKS = {"weight_bits": 4, "activation_bits": None, "block_size": 32}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_survives_json(name):
    scheme = SCHEMES[name]
    assert Scheme.from_config(json.loads(json.dumps(scheme.get_config()))) == scheme
    assert scheme_of(name) is scheme_of(scheme) is scheme
    assert scheme_of(scheme.get_config()) == scheme


def test_a_scheme_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SCHEMES["int8"].weight_bits = 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight_bits": 9}, "weight_bits to be one of 8, 7"),
        ({"weight_bits": True}, "weight_bits to be a whole number"),
        ({"weight_bits": 8.0}, "weight_bits to be a whole number"),
        ({"activation_bits": 4}, "activation_bits to be one of"),
        ({"weight_bits": None, "activation_bits": None}, "quantizes nothing"),
        ({"weight_bits": 1}, "weight_range='mean'"),
        ({"weight_range": "mean"}, "weight_bits of 1 and 2"),
        ({"weight_range": "min"}, "weight_range to be one of 'max', 'lsq'"),
        ({"activation_range": "x"}, "activation_range to be one of"),
        ({"rounding": "up"}, "rounding to be one of 'nearest', 'stochastic'"),
        ({"weight_bits": 2, "weight_range": "mean", "rounding": "stochastic"}, "rounding='nearest'"),
        ({"per_channel": 1}, "per_channel to be True or False"),
        ({"symmetric": "no"}, "symmetric to be True or False"),
        ({"dynamic": 1}, "dynamic to be True or False"),
        ({"dynamic": True}, "expected activation_bits=None, got 8"),
        ({"block_size": 16}, "block_size to be one of 32, 64"),
        ({"block_size": 32.0}, "block_size to be a whole number"),
        ({"block_size": 32}, r"block_size=32, expected weight_bits of 2, 3 or 4 and activation_bits=None;"),
        ({**BLOCKS, "per_channel": False}, r"expected per_channel=True;"),
        ({**BLOCKS, "weight_bits": 2, "weight_range": "mean"}, "weight_range='max' or 'lsq';"),
    ],
)
def test_what_excludes_itself_is_refused(fields, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Scheme(**fields)


@pytest.mark.parametrize("value", ["int5", 8, object(), ["int8"], {"weight_bit": 8}])
def test_what_is_no_scheme_is_refused(value):
    with pytest.raises(InvalidArgumentError, match=r"one of the schemes 'int8'|no field 'weight_bit'"):
        scheme_of(value)
