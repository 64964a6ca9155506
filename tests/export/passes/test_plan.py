"""Which passes a file gets is decided before the first runs, by what was frozen and asked for."""

import numpy as np
import pytest

from tfopt.export.flatbuffer.tensor_names import TensorNames
from tfopt.export.keras_graph.expected_tensors import FLOAT, FilePlan, Grid
from tfopt.export.keras_graph.freeze import Frozen
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec
from tfopt.export.passes.plan import after_converter, after_litert_quantizer, for_runtime, for_trained_model

QUANTIZERS = {"conv": frozenset({Grid("int8", 0.1, 0)})}


def frozen(**fields):
    given = {
        "graph_def": b"",
        "inputs": ("x:0",),
        "outputs": ("y:0",),
        "input_names": ("x",),
        "output_names": ("y",),
        "tensor_names": TensorNames(model="model", layers={}),
        "operations": {},
        "int16": Int16Spec(),
        "barrier": None,
        "plan": FilePlan(),
    }
    return Frozen(**given | fields)


def names(passes):
    return [each.name for each in passes]


@pytest.mark.parametrize(("barrier", "first"), [(None, []), ("CEIL", ["remove_barriers"])])
def test_barriers_are_removed_before_tensors_get_their_names(barrier, first):
    assert names(after_converter(frozen(barrier=barrier))) == [*first, "fix_uniform_biases", "name_tensors"]


@pytest.mark.parametrize(
    ("fields", "weights", "unquantized", "expected"),
    [
        ({}, {}, None, []),
        ({}, {}, {"x"}, ["quantize_inputs"]),
        ({}, {"conv": None}, None, ["write_quantized_weights"]),
        ({"int16": Int16Spec(scales={0.1})}, {}, None, ["write_int16_activations"]),
        ({"int16": Int16Spec(fixed={"soft"})}, {}, None, ["write_int16_activations"]),
        ({"int16": Int16Spec(constants=[np.ones(3)])}, {}, None, []),
        ({"plan": FilePlan(quantizers=QUANTIZERS)}, {}, None, ["require_planned"]),
        (
            {"plan": FilePlan(quantizers=QUANTIZERS, float_weights={"up": (np.ones(3),)})},
            {},
            None,
            ["restore_float_weights", "require_planned"],
        ),
        ({"plan": FilePlan(makes={"up": frozenset({FLOAT})}, float_weights={"up": ()})}, {}, None, []),
    ],
)
def test_a_trained_model_gets_the_passes_that_it_needs(fields, weights, unquantized, expected):
    assert names(for_trained_model(frozen(**fields), weights, unquantized)) == expected


@pytest.mark.parametrize(
    ("integer", "inputs", "outputs", "expected"),
    [
        (False, False, False, ["lower_for_xnnpack"]),
        (True, False, False, ["lower_for_xnnpack", "log_float_operators"]),
        (True, True, False, ["lower_for_xnnpack", "log_float_operators", "make_inputs_outputs_uint8"]),
        (True, False, True, ["lower_for_xnnpack", "log_float_operators", "make_inputs_outputs_uint8"]),
    ],
)
def test_inputs_and_outputs_become_uint8_last(integer, inputs, outputs, expected):
    passes = for_runtime(
        FilePlan(), integer=integer, float_where_faster=False, uint8_inputs=inputs, uint8_outputs=outputs
    )
    assert names(passes) == expected


def test_litert_quantizer_leaves_embeddings():
    assert names(after_litert_quantizer({}, "int8_weights", per_channel=True)) == ["quantize_embeddings"]
