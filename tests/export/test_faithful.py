"""What TensorFlow's converter gets wrong, and the files do not show."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.export.flatbuffer.fields import operator_name
from tfopt.export.flatbuffer.read import parse

UNIFORM = keras.initializers.Constant(3.0)


def _biases(x):
    x = L.Conv2D(6, 3, bias_initializer=UNIFORM, name="conv")(x)
    x = L.Conv2D(6, 1, use_bias=False, name="squeeze")(x)
    x = L.Activation("hard_sigmoid", name="gate")(x)
    return L.Dense(3, bias_initializer=UNIFORM, name="head")(L.Flatten()(x))


def _float_layer(x):
    x = L.LayerNormalization(name="norm")(L.Conv2D(6, 3, name="conv")(x))
    return L.Dense(3, name="head")(L.GlobalAveragePooling2D(name="pool")(x))


def _equal_relus(x):
    x = L.BatchNormalization(name="bn")(L.Conv2D(6, 3, use_bias=False, name="conv")(x))
    one, other = L.ReLU(name="one")(x), L.Activation("relu", name="other")(x)
    one = L.Conv2D(3, 3, name="first")(one)
    # Joined with other tensors in one scale, the second ReLU could have another range than the first.
    other = L.Concatenate(name="join")([other, L.Conv2D(3, 1, name="side")(other) * 9.0])
    return L.Add(name="add")([one, L.Conv2D(3, 3, name="second")(other)])


def _equal_scalings(x):
    """The converter makes one of both; joined with other tensors, the second could have another range."""
    one, other = ((x - 0.25) / 0.75 for _ in range(2))
    other = L.Concatenate(name="join")([other, L.Conv2D(3, 1, name="side")(x) * 9.0])
    return L.Add(name="add")([L.Conv2D(3, 3, name="first")(one), L.Conv2D(3, 3, name="second")(other)])


def _layer_of_several_operators(x):
    return L.Conv2D(3, 1, name="head")(L.Activation("selu", name="selu")(L.Conv2D(6, 3, name="conv")(x)))


def _alone(x):
    """What no operator takes in, in tensors of every rank."""
    x = L.ReLU(name="of_image")(L.MaxPooling2D(name="pool")(x))
    x = L.Reshape((16, 4), name="sequence")(L.BatchNormalization(name="scale_of_image")(x))
    x = L.ReLU(max_value=6, name="of_sequence")(L.Permute((2, 1), name="turn")(x))
    x = L.GlobalMaxPooling1D(name="largest")(L.BatchNormalization(name="scale_of_sequence")(x))
    x = L.ReLU(name="of_vector")(L.BatchNormalization(name="scale_of_vector")(x - 1.0))
    return L.Dense(3, name="head")(x)


class _StepBias(L.Layer):
    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[1], 1), initializer="normal", name="bias")

    def call(self, x):
        return x + self.bias


def _attention_over_steps(x):
    """Keras computes the sum as a BiasAdd of another layout, which the converter does not take."""
    x = L.Dense(6, name="values")(L.Reshape((16, 16))(x))
    scores = L.Activation("tanh", name="squash")(_StepBias(name="bias")(L.Dense(1, name="scores")(x)))
    weights = L.Softmax(axis=1, name="weights")(scores)
    return L.Dense(3, name="head")(L.GlobalAveragePooling1D()(L.Multiply(name="weighted")([x, weights])))


def _finer_grid_than_the_join(x):
    gate = L.Activation("sigmoid", name="gate")(L.Conv2D(4, 1, name="conv")(x))
    return L.Conv2D(3, 1, name="head")(L.Concatenate(name="join")([gate, L.Conv2D(4, 1, name="side")(x)]))


def _dead(x):
    x = L.Conv2D(4, 1, activation="relu", name="conv")(x)
    return L.Conv2D(3, 1, name="head")(L.ReLU(name="dead")(-5.0 * x))


def _compared(body):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 4), name="image")
    model = tfopt.quantize_aware(keras.Model(inputs, body(inputs)))
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 4)).astype("float32")
    tfopt.quantization.calibrate(model, x)
    file = tfopt.to_tflite(model)
    return file, tfopt.debug_quantization(model, file, x)


BODIES = {
    _biases: "conv squeeze gate head",
    _float_layer: "conv norm pool head",
    _equal_relus: "conv bn one other first side join add second",
    _equal_scalings: "first side join add second",
    _layer_of_several_operators: "conv selu head",
    _attention_over_steps: "values scores bias.add squash weights weighted head",
    _alone: "pool of_image scale_of_image of_sequence scale_of_sequence of_vector scale_of_vector head",
}


@pytest.mark.parametrize("body", BODIES)
def test_every_operator_is_within_one_step(body):
    _, report = _compared(body)
    named = {path.split("/")[0] for each in report.layers for path in each.layer.split(" + ")}
    assert named >= set(BODIES[body].split())
    assert report.share_within(1) == 1.0
    assert all(each.added_mean_lsb < 0.01 for each in report.layers if each.added_mean_lsb is not None)
    floats = [each.added_snr_db for each in report.layers if each.dtype == "float32"]
    assert min(floats, default=100.0) > 80


def test_a_grid_finer_than_the_one_that_follows_is_its_own():
    _, report = _compared(_finer_grid_than_the_join)
    added = {each.operator: each.added_max_lsb for each in report.layers}
    assert added["LOGISTIC"] == 0
    assert max(added.values()) <= 1


def test_a_layer_that_returns_nothing_but_zeros():
    file, report = _compared(_dead)
    assert report.share_within(1) == 1.0
    assert file.predict(np.ones((1, 8, 8, 4), "float32")).shape == (1, 8, 8, 3)


def test_a_bias_of_one_number_is_that_number_in_every_channel():
    file, _ = _compared(_biases)
    model = parse(bytes(file))
    tensors = model.subgraphs[0].tensors
    found = 0
    for operator in model.subgraphs[0].operators:
        name = operator_name(model, operator)
        if name in ("CONV_2D", "FULLY_CONNECTED"):
            tensor = tensors[operator.inputs[2]]
            data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
            bias = np.frombuffer(data.tobytes(), np.int32) * tensor.quantization.scale
            np.testing.assert_allclose(bias, 3.0, atol=1e-3)
            found += 1
    assert found == 3
