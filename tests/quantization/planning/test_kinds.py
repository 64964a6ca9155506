"""The kind of each operation of a model, and the error for one without."""

import keras
import pytest
from keras import layers as L
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import as_functional, nodes
from tfopt.quantization import left_in_float
from tfopt.quantization.canonicalize.canonicalize import canonical
from tfopt.quantization.operators.traits import Kind
from tfopt.quantization.planning.kinds import kinds_of
from tfopt.quantization.scheme import scheme_of


def _kinds(function, *shapes, rules=None, dtype="float32"):
    inputs = [keras.Input(shape, dtype=dtype) for shape in shapes]
    model, paths = canonical(as_functional(keras.Model(inputs, function(*inputs))))
    settings = dict.fromkeys(paths.values(), scheme_of("int8")) | (rules or {})
    kinds = kinds_of(model, settings, paths)
    return [(type(node.operation).__name__, kinds[id(node.operation)]) for node in nodes(model)]


def test_what_the_registry_says():
    assert _kinds(lambda x: L.Flatten()(L.Conv2D(2, 3, activation="relu")(x)), (5, 5, 2)) == [
        ("Conv2D", Kind.LINEAR),
        ("Activation", Kind.RELU),
        ("Flatten", Kind.SAME_SCALE),
    ]


def test_a_rule_leaves_a_layer_in_float():
    assert _kinds(lambda x: L.Dense(2, name="one")(x), (4,), rules={"one": None}) == [("Dense", Kind.FLOAT)]


def test_integers_are_computed_as_they_are():
    assert _kinds(lambda x: x + x, (4,), dtype="int32") == [("Add", Kind.FLOAT)]


def test_an_average_under_a_mask_is_left_in_float():
    pool = L.GlobalAveragePooling1D()
    kinds = dict(_kinds(lambda x, y: pool(x, mask=y[..., 0] > 0.0), (4, 3), (4, 3)))
    assert kinds["GlobalAveragePooling1D"] is Kind.FLOAT
    assert dict(_kinds(pool, (4, 3))) == {"GlobalAveragePooling1D": Kind.OWN_RANGE}


def test_a_small_summand_in_a_root_is_added_in_float():
    kinds = _kinds(lambda x: ops.sqrt(ops.mean(ops.square(x), axis=-1) + 1e-5), (4, 3))
    assert ("Scaling", Kind.FLOAT) in kinds
    assert ("Scaling", Kind.SCALING) in _kinds(lambda x: L.Dense(2)(x * 2.0), (4,))


def test_an_operation_without_a_rule_is_named_with_what_to_do():
    with pytest.raises(
        UnsupportedOperation, match=r"no rule for 'prod.*' \(Prod\)\. Leave it in float with rules="
    ):
        _kinds(lambda x: ops.prod(x, axis=-1), (4, 3))


def test_an_operation_that_no_file_holds_is_named_with_what_to_do():
    with pytest.raises(UnsupportedOperation, match=r"\(Arctan\)\. A TFLite file has no operator for it"):
        _kinds(ops.arctan, (4,))


def test_layers_in_float_have_a_reason():
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, L.ELU(name="elu")(L.Dense(3, name="dense")(inputs)))
    assert left_in_float(model) == {"elu": "LiteRT has no int8 kernel for ELU"}
    assert left_in_float(model, {"dense": None})["dense"] == "a rule says so"
