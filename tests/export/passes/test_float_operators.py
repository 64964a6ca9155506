"""The log says which operators compute in float, and why."""

import logging

import pytest

from tests.export.handmade import Handmade
from tfopt.export.keras_graph.expected_tensors import FLOAT, FilePlan
from tfopt.export.passes.float_operators import log_float_operators

PLAN = FilePlan(layers={"left": frozenset({FLOAT})}, makes={"left": frozenset({FLOAT})})


@pytest.mark.parametrize(
    ("operator", "name", "faster", "reason"),
    [
        ("TANH", "left:Tanh", False, "the plan leaves it in float"),
        ("RESHAPE", "flat:Reshape", False, "it passes floats on"),
        ("SOFTMAX", "soft:Softmax", True, "XNNPACK is faster in float"),
        ("PRELU", "prelu:add", False, "its int16 kernel in LiteRT is inexact"),
        ("ELU", "elu:Elu", False, "the engine has no integer kernel for it"),
    ],
)
def test_the_reason(caplog, operator, name, faster, reason):
    caplog.set_level(logging.INFO, logger="tfopt")
    made = Handmade()
    x, y = made.tensor("x", "float32"), made.tensor(name, "float32")
    made.call(operator, [x], [y])
    made.call("QUANTIZE", [y], [made.tensor("integers", scale=0.1)])
    assert not log_float_operators(made.parsed([x], [y]), PLAN, float_where_faster=faster)
    layer = name.split(":")[0]
    assert [each.getMessage() for each in caplog.records] == [
        f"{operator} of {layer} computes in float: {reason}"
    ]
