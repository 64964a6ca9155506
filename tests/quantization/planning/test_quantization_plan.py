"""The plans of small models, decision by decision."""

import dataclasses

import keras
import pytest

import tfopt
from tfopt.quantization.operators.traits import Kind
from tfopt.quantization.planning.quantization_plan import QuantizerSpec

L = keras.layers


def cnn():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            L.Conv2D(4, 3, use_bias=False, name="conv"),
            L.BatchNormalization(name="bn"),
            L.ReLU(name="relu"),
            L.AveragePooling2D(2, name="pool"),
            L.Flatten(name="flat"),
            L.Dense(3, activation="softmax", name="head"),
        ]
    )


def lstm():
    x = keras.Input((5, 3), name="x")
    return keras.Model(x, L.Dense(2, name="out")(L.LSTM(4, name="lstm")(x)))


def branches():
    x = keras.Input((4,), name="x")
    one, two = L.Dense(6, name="one")(x), L.Dense(6, name="two")(x)
    return keras.Model(x, L.Dense(2, name="out")(L.Concatenate(name="both")([one, two])))


def chain():
    """Return a model of one dense layer after another: a, b, c."""
    x = keras.Input((4,), name="x")
    return keras.Model(x, L.Dense(2, name="c")(L.Dense(3, name="b")(L.Dense(4, name="a")(x))))


def test_a_cnn():
    plan = tfopt.plan(cnn())
    assert plan.quantizers == (
        QuantizerSpec(name="image.quantizer", bits=8, tensors=("image",)),
        QuantizerSpec(name="relu.quantizer", bits=8, tensors=("relu", "pool"), nonnegative=True),
        QuantizerSpec(name="head.quantizer", bits=8, tensors=("head",)),
        QuantizerSpec(
            name="head.softmax.quantizer",
            bits=8,
            tensors=("head/softmax",),
            limits=(0.0, 255 / 256),
            inference_only=True,
        ),
    )
    assert plan.fused == {"bn": "conv", "relu": "conv"}
    assert [(spec.path, spec.layer, spec.shape, spec.channels) for spec in plan.weights] == [
        ("conv", "Conv2D", (3, 3, 1, 4), 4),
        ("head", "Dense", (36, 3), 3),
    ]
    assert not plan.in_float
    assert not plan.standalone
    assert not plan.boundaries
    assert not plan.requantizations
    pooled = next(call for call in plan.calls if call.path == "pool")
    assert pooled.outputs[0].quantized.averaged
    assert pooled.outputs[0].quantized.tensor is None, "a mean lies in the range of what it is of"


def test_the_table_of_a_cnn():
    assert str(tfopt.plan(cnn(), rules={"head": "int4"})) == "\n".join(
        [
            "path          operation           bits  range                   weights             notes",
            "image         input               8     own",
            "conv          Conv2D                                            8 bits per channel",
            "bn            BatchNormalization" + 52 * " " + "fused into conv",
            "relu          ReLU                8     shared with pool" + 28 * " " + "fused into conv",
            "pool          AveragePooling2D    8     shared with relu",
            "flat          Flatten                   that of its inputs",
            "head          Dense               8     own                     4 bits per channel",
            "head/softmax  Activation softmax  8     prescribed 0 to 0.9961",
        ]
    )


def test_the_steps_of_a_loop_share_their_quantizers():
    plan = tfopt.plan(lstm())
    states = plan.quantizer("lstm.output.quantizer")
    assert states.count == 5, "each step has a range of its own"
    assert states.tensors == ("lstm/output",)
    assert plan.quantizer("lstm.recurrent.quantizer").count == 4, "the first step has no state"
    assert plan.quantizer("lstm.gates.quantizer").limits == (0.0, 255 / 256)
    assert [spec.path for spec in plan.weights] == ["lstm/input", "lstm/recurrent", "out"]


def test_tensors_that_meet_share_a_quantizer():
    plan = tfopt.plan(branches())
    shared = plan.quantizer("one.quantizer")
    assert (shared.tensors, shared.count) == (("one", "two"), 2)
    used = {call.path: [made.quantized for made in call.outputs] for call in plan.calls}
    assert [use.tensor for use in (*used["one"], *used["two"])] == [0, 1]
    assert used["both"] == [None]


@pytest.mark.parametrize(
    ("scheme", "rules", "bits", "requantizations"),
    [
        ("int16x8", None, {"a": 16, "b": 16, "c": 16}, {}),
        ("int16x8", {"b": "int8"}, {"a": 16, "b": 8, "c": 16}, {"a.int8.quantizer": "a.quantizer"}),
        ("int8", {"b": "int16x8"}, {"a": 8, "b": 16, "c": 8}, {"b.int8.quantizer": "b.quantizer"}),
    ],
)
def test_an_operator_of_8_bits_has_its_inputs_requantized(scheme, rules, bits, requantizations):
    plan = tfopt.plan(chain(), scheme, rules=rules)
    assert {name: plan.quantizer(f"{name}.quantizer").bits for name in bits} == bits
    assert plan.requantizations == requantizations
    readers = {
        call.path: use.requantized.quantizer for call in plan.calls for use in call.inputs if use.requantized
    }
    assert [*readers.values()] == [*requantizations]


def test_what_is_in_float_stands_between_boundaries():
    plan = tfopt.plan(chain(), rules={"b": None})
    assert plan.in_float == {"b": "a rule says so"}
    assert plan.boundaries == ("b.boundary",)
    inside = next(call for call in plan.calls if call.path == "b")
    assert inside.kind is Kind.FLOAT
    assert inside.weights is None
    assert [read.boundary for read in inside.inputs] == ["b.boundary"]
    assert [made.boundary for made in inside.outputs] == ["b.boundary"]
    assert inside.outputs[0].quantized.quantizer == "b.quantizer"


def test_neighbours_in_float_have_no_boundary_between_them():
    plan = tfopt.plan(chain(), rules={"b": None, "c": None})
    reads = {call.path: call.inputs[0].boundary for call in plan.calls}
    assert reads == {"a": None, "b": "b.boundary", "c": None}
    assert {spec.name for spec in plan.quantizers} == {"x.quantizer", "a.quantizer"}


def test_weights_alone():
    plan = tfopt.plan(branches(), "int4_weights", rules={"out": "dynamic"})
    assert not plan.quantizers
    assert {spec.path: (spec.scheme.weight_bits, spec.scales) for spec in plan.weights} == {
        "one": (4, "per channel"),
        "two": (4, "per channel"),
        "out": (8, "per channel"),
    }
    assert {*plan.in_float.values()} == {"by its scheme"}


def test_blocks_of_weights_that_share_a_scale():
    x = keras.Input((64,), name="x")
    model = keras.Model(x, L.Dense(5, name="odd")(L.Dense(31, name="even")(x)))
    scales = {spec.path: spec.scales for spec in tfopt.plan(model, "int4_weights").weights}
    assert scales == {"even": "per block of 32", "odd": "per channel"}


@pytest.mark.parametrize(
    ("layer", "kind", "note"),
    [
        (lambda: L.BatchNormalization(name="alone"), Kind.NORMALIZATION, "a depthwise convolution"),
        (lambda: L.ReLU(name="alone"), Kind.RELU, "a pooling of single values"),
    ],
)
def test_what_is_fused_into_nothing_is_an_operator_of_its_own(layer, kind, note):
    x = keras.Input((4, 4, 2), name="x")
    plan = tfopt.plan(keras.Model(x, layer()(x)))
    assert plan.standalone == {"alone": kind}
    assert note in plan.table()


def test_indices_are_rounded_for_those_alone_that_read_them_as_numbers():
    x = keras.Input((3,), name="x")
    embedded = L.Flatten(name="flat")(L.Embedding(9, 2, name="table")(x))
    plan = tfopt.plan(keras.Model(x, [embedded, L.Dense(2, name="numbers")(x)]))
    assert plan.inputs["x"].quantized is None
    reads = {call.operation: call.inputs[0].rounded for call in plan.calls}
    assert reads["Embedding"] is None
    assert reads["Dense"].quantizer == "x.quantizer"


def test_learned_ranges_and_their_observers():
    scheme = tfopt.quantization.Scheme(activation_range="lsq", observer="mse", symmetric=True)
    spec = tfopt.plan(chain(), scheme).quantizer("a.quantizer")
    assert (spec.activation_range, spec.observer, spec.symmetric) == ("lsq", "mse", True)
    assert spec.range("a") == "own, learned (lsq)"


def test_a_layer_of_losses_alone_is_no_part_of_the_table():
    class Penalized(L.Layer):
        def call(self, x):
            self.add_loss(keras.ops.mean(keras.ops.square(x)))
            return x

    x = keras.Input((4,), name="x")
    plan = tfopt.plan(keras.Model(x, Penalized(name="penalized")(L.Dense(3, name="dense")(x))))
    assert any(call.for_losses for call in plan.calls)
    assert "Square" not in plan.table()


def test_a_plan_is_data_that_cannot_be_changed():
    plan = tfopt.plan(chain())
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.quantizers[0].bits = 4
    assert plan == tfopt.plan(chain()), "the same model, the same plan"
    with pytest.raises(KeyError):
        plan.quantizer("nobody.quantizer")
