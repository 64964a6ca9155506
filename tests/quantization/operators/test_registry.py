"""The registry of operators: every class of Keras is in it or left out on purpose, and its rows are sound."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt  # noqa: F401 (registers what the rows name)
from tfopt.quantization.canonicalize.decompose.registry import DECOMPOSITIONS
from tfopt.quantization.canonicalize.rewrite.registry import REWRITES
from tfopt.quantization.operators.activations import ACTIVATIONS
from tfopt.quantization.operators.op_traits import Kind, OpTraits, Sign, table_of
from tfopt.quantization.operators.registry import OPERATORS
from tfopt.quantization.operators.traits import kind, traits_of
from tfopt.quantization.operators.weights import fewest_bits

_SPEC = importlib.util.spec_from_file_location(
    "unknown_operations", Path(__file__).with_name("unknown_operations.py")
)
unknown = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(unknown)


def _classes(*packages):
    """Return the names of the operations and layers that are defined in packages."""
    found, classes = set(), [keras.Operation]
    while classes:
        each = classes.pop()
        classes += each.__subclasses__()
        if each.__module__.startswith(packages):
            found.add(each.__name__)
    return found


def test_every_class_of_keras_is_known_or_left_out_on_purpose():
    names = _classes("keras.")
    assert len(names) > 450
    assert not names - OPERATORS.keys() - unknown.UNKNOWN.keys()


def test_what_is_left_out_is_not_in_the_registry():
    assert not OPERATORS.keys() & unknown.UNKNOWN.keys()


def test_every_name_in_the_registry_is_a_class():
    assert not OPERATORS.keys() - _classes("keras.", "tfopt.graph.")


def test_every_activation_of_keras_is_known():
    names = {name for name in dir(keras.activations) if not name.startswith("_")}
    functions = {getattr(keras.activations, name).__name__ for name in names - {"get", "serialize"}}
    assert functions - {"deserialize"} == ACTIVATIONS.keys() | {"glu"}  # which halves the channels


@pytest.mark.parametrize("table", [OPERATORS, ACTIVATIONS])
def test_what_a_row_names_exists(table):
    named = {traits.rewrite for traits in table.values()} - {None}
    functions = {f"{f.__module__.rpartition('.')[2]}.{f.__name__}" for f in REWRITES.values()}
    assert named <= functions | {"activations.mish"}  # Keras has no operation of that name


def test_the_decompositions_and_rewrites_are_those_of_the_rows():
    assert DECOMPOSITIONS.keys() == {name for name, traits in OPERATORS.items() if traits.decomposition}
    assert REWRITES.keys() == {name for name, traits in OPERATORS.items() if traits.rewrite}
    assert DECOMPOSITIONS["LSTM"].__module__.endswith("decompose.recurrent")
    assert REWRITES["LayerNormalization"].__module__.endswith("rewrite.normalization")


def test_an_operator_stands_in_one_row():
    with pytest.raises(ValueError, match="two rows"):
        table_of((("Add Subtract", OpTraits(kind=Kind.SUM)), ("Add", OpTraits(kind=Kind.FLOAT))))


def test_kernels_are_attributes_of_their_layers():
    """Each output channel is a slice of the kernel along its axes."""
    made = {
        "Dense": (keras.layers.Dense(5), (4,)),
        "Conv1D": (keras.layers.Conv1D(5, 3), (8, 4)),
        "Conv2D": (keras.layers.Conv2D(5, 3), (8, 8, 4)),
        "Conv3D": (keras.layers.Conv3D(5, 3), (8, 8, 8, 4)),
        "DepthwiseConv1D": (keras.layers.DepthwiseConv1D(3, depth_multiplier=2), (8, 4)),
        "DepthwiseConv2D": (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4)),
        "Conv1DTranspose": (keras.layers.Conv1DTranspose(5, 3), (8, 4)),
        "Conv2DTranspose": (keras.layers.Conv2DTranspose(5, 3), (8, 8, 4)),
        "EinsumDense": (keras.layers.EinsumDense("bi,hij->bhj", (2, 3)), (4,)),
        "SeparableConv1D": (keras.layers.SeparableConv1D(5, 3), (8, 4)),
        "SeparableConv2D": (keras.layers.SeparableConv2D(5, 3), (8, 8, 4)),
    }
    embedding = {"Embedding"}  # whose rows are its outputs where it is a kernel, see TiedEmbedding
    assert made.keys() == {name for name, traits in OPERATORS.items() if traits.kernels} - embedding
    for name, (layer, shape) in made.items():
        y = layer(np.zeros((1, *shape), "float32"))
        last = OPERATORS[name].kernels[-1]
        kernel = getattr(layer, last.attribute)
        channels = np.prod([kernel.shape[axis] for axis in last.output_axes(layer)])
        assert channels == np.prod(y.shape[1:]) if name == "EinsumDense" else channels == y.shape[-1], name
        for each in OPERATORS[name].kernels:
            assert each.inputs is None or getattr(layer, each.attribute).shape[each.inputs] == shape[-1], name


class Dense(keras.layers.Dense):
    """Of a user, who may do anything with its kernel."""


def test_a_class_of_a_user_has_no_traits():
    assert traits_of(keras.layers.Dense(2)) is OPERATORS["Dense"]
    assert traits_of(Dense(2)) == OpTraits()
    assert kind(Dense(2)) is None


def test_channels_first_has_no_rule():
    assert kind(keras.layers.Conv2D(2, 3)) is Kind.LINEAR
    assert kind(keras.layers.Conv2D(2, 3, data_format="channels_first")) is None


@pytest.mark.parametrize(
    ("layer", "expected", "sign"),
    [
        (keras.layers.ReLU(), Kind.RELU, Sign.NON_NEGATIVE),
        (keras.layers.ReLU(6), Kind.RELU, Sign.NON_NEGATIVE),
        (keras.layers.ReLU(3), Kind.FLOAT, Sign.NON_NEGATIVE),
        (keras.layers.ReLU(negative_slope=0.1), Kind.FLOAT, Sign.ANY),
        (keras.layers.Activation("softmax"), Kind.SIGMOID, Sign.NON_NEGATIVE),
        (keras.layers.Activation("tanh"), Kind.TANH, Sign.ANY),
        (keras.layers.Activation("elu"), Kind.FLOAT, Sign.ANY),
        (keras.layers.Activation(lambda x: x), None, Sign.ANY),
        (keras.layers.UpSampling2D(interpolation="nearest"), Kind.SAME_SCALE, Sign.ANY),
        (keras.layers.UpSampling2D(interpolation="bilinear"), Kind.AVERAGE, Sign.ANY),
        (keras.layers.UpSampling2D(interpolation="bicubic"), Kind.FLOAT, Sign.ANY),
    ],
)
def test_facts_that_depend_on_the_config(layer, expected, sign):
    traits = traits_of(layer)
    assert (traits.kind_of(layer), traits.sign_of(layer)) == (expected, sign)


@pytest.mark.parametrize(
    ("name", "trained", "post_training", "dynamic"),
    [
        ("Dense", 2, 4, 2),
        ("Conv2D", 4, 4, 4),
        ("DepthwiseConv2D", 4, 8, 8),
        ("Conv2DTranspose", 8, 8, 8),
        ("EinsumDense", 4, 4, 8),
        ("no class of Keras", 4, 4, 8),
    ],
)
def test_the_fewest_bits_of_weights(name, trained, post_training, dynamic):
    found = fewest_bits(name)
    assert (found.trained, found.post_training, found.dynamic) == (trained, post_training, dynamic)


UNARY = sorted(
    name
    for name, traits in OPERATORS.items()
    if traits.sign is Sign.NON_NEGATIVE and hasattr(keras.ops, name.lower()) and name != "Softmax"
)


@pytest.mark.parametrize("name", UNARY)
def test_operations_that_are_said_to_be_non_negative_are(name):
    x = np.random.default_rng(0).normal(size=100).astype("float32")
    assert np.min(getattr(keras.ops, name.lower())(x)) >= 0


@pytest.mark.parametrize("name", [name for name, traits in OPERATORS.items() if traits.neutral is not None])
def test_the_neutral_constant_changes_nothing(name):
    x = np.random.default_rng(0).normal(size=100).astype("float32")
    np.testing.assert_array_equal(getattr(keras.ops, name.lower())(x, OPERATORS[name].neutral), x)
