"""What litert-quantizer is told about the operators of a file."""

import numpy as np
import pytest

from tests.export.handmade import Handmade
from tfopt.errors import InvalidArgumentError
from tfopt.export.litert_quantizer.recipe import PlannedOperator, entries_of, operators
from tfopt.export.options import WeightOptions

IN_FLOAT = {"INPUT": "float32", "OUTPUT": "float32"}


def dense(name, row):
    return PlannedOperator(scope=f"{name}:Relu;", name="FULLY_CONNECTED", layer=name, row=row)


def told(entries):
    return [(each.scope, each.mode, each.weight_bits, each.granularity) for each in entries]


def test_operators_know_their_layer_and_how_long_their_rows_are():
    made = Handmade()
    x, y, z = (made.tensor(name, "float32") for name in ("x", "act:Relu;fc:MatMul", "sum:add"))
    weights = made.tensor("fc:kernel", "float32", values=np.ones((3, 64)))
    made.call("FULLY_CONNECTED", [x, weights, -1], [y])
    made.call("ADD", [y, x], [z])
    file = made.parsed([x], [z])
    assert operators(file, {"act", "fc"}, {"fc"}) == [
        PlannedOperator(scope="act:Relu;fc:MatMul;", name="FULLY_CONNECTED", layer="fc", row=64),
        PlannedOperator(scope="sum:add;", name="ADD", layer="", row=0),
    ]


def test_a_rule_follows_the_default_that_it_is_an_exception_to():
    planned = [dense("a", 64), dense("b", 64)]
    entries = entries_of(
        planned, {"a": "int8_weights", "b": "float16"}, "int8_weights", IN_FLOAT, WeightOptions()
    )
    assert told(entries) == [
        (".*", "weight_only", 8, "channel"),
        ("^(?:b:Relu;)$", "float16", 8, "channel"),
    ]


@pytest.mark.parametrize(
    ("weights", "scopes"),
    [
        (WeightOptions(), {"block_32": "^(?:whole:Relu;)$"}),
        (WeightOptions(block_size=64), {}),
        (WeightOptions(block_size=None), {}),
        (WeightOptions(per_channel=False), {}),
    ],
)
def test_only_rows_that_a_block_divides_have_blocks(weights, scopes):
    planned = [dense("whole", 96), dense("odd", 50)]
    entries = entries_of(planned, {}, "int4_weights", IN_FLOAT, weights)
    assert {each.granularity: each.scope for each in entries if "block" in each.granularity} == scopes


@pytest.mark.parametrize(
    ("dtype", "mode", "bits"), [("int8", "static", 8), ("int16", "static", 16), ("float32", "float", 8)]
)
def test_inputs_have_an_entry_where_activations_are_integers(dtype, mode, bits):
    entries = entries_of([dense("a", 8)], {}, "int8", {"INPUT": dtype}, WeightOptions())
    last = entries[-1]
    assert (last.operation, last.mode, last.activation_bits) == ("INPUT", mode, bits)
    assert len(entries_of([dense("a", 8)], {}, "dynamic", {"INPUT": "float32"}, WeightOptions())) == 1


def test_an_algorithm_without_weights_is_refused():
    planned = [PlannedOperator(scope="y;", name="ADD", layer="", row=0)]
    with pytest.raises(InvalidArgumentError, match="algorithm='mse' has no weights to work on"):
        entries_of(planned, {}, "int8_weights", IN_FLOAT, WeightOptions(algorithm="mse"))
