"""Every recurrent layer becomes a file in every scheme, with the model's numbers."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tests.at_length import some
from tfopt.errors import ConversionError, UnsupportedModel, UnsupportedOperation


@keras.saving.register_keras_serializable(package="test_recurrent")
class OwnCell(L.Layer):
    """Elman's, with weights of its own, and an output that is not its state."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
        self.recurrent_kernel = self.add_weight(name="recurrent_kernel", shape=(self.units, self.units))

    def call(self, x, states):
        state = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(states[0], self.recurrent_kernel))
        return state * 0.5, [state]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class OfLayers(L.Layer):
    """An LSTM of one Dense layer; its state begins with ones."""

    def __init__(self, units):
        super().__init__()
        self.state_size = [units, units]
        self.gates = L.Dense(4 * units)

    def build(self, shape):
        self.gates.build((None, shape[-1] + self.state_size[0]))

    def get_initial_state(self, batch_size=None):
        return [ops.ones((batch_size, size)) for size in self.state_size]

    def call(self, x, states, training=None):
        held, carried = states
        entrance, forget, exit_, new = ops.split(self.gates(ops.concatenate([x, held], -1)), 4, axis=-1)
        carried = ops.sigmoid(forget) * carried + ops.sigmoid(entrance) * ops.tanh(new)
        held = ops.sigmoid(exit_) * ops.tanh(carried)
        return held, [held, carried]


class OwnLSTM(L.LSTM):
    """Keras's under another name."""


LINE, SIGNAL, FILM, SCAN = (5, 4), (4, 8, 2), (4, 5, 5, 2), (3, 4, 4, 4, 2)


def _from_states(x):
    states = [L.Conv1D(3, 1)(x[:, number]) for number in range(2)]
    return L.ConvLSTM1D(3, 3, padding="same")(x, initial_state=states)


LAYERS = {
    "LSTM": (LINE, lambda x: L.LSTM(4)(x)),
    "bidirectional": (LINE, lambda x: L.Bidirectional(L.GRU(3))(x)),
    "subclass": (LINE, lambda x: OwnLSTM(4)(x)),
    "one step": (LINE, lambda x: L.Bidirectional(L.LSTM(4))(x[:, :1])),
    "unrolled by Keras": (LINE, lambda x: L.LSTM(4, unroll=True)(x)),
    "masked": (LINE, lambda x: L.LSTM(4, return_sequences=True)(L.Masking()(x))),
    "beside another": (LINE, lambda x: L.Concatenate()([L.LSTM(4)(x), L.Dense(3)(x[:, 0])])),
    "ConvLSTM1D": (SIGNAL, lambda x: L.ConvLSTM1D(3, 3)(x)),
    "strides": (SIGNAL, lambda x: L.ConvLSTM1D(3, 3, strides=2, use_bias=False)(x)),
    "stacked": (
        SIGNAL,
        lambda x: L.ConvLSTM1D(2, 3)(
            L.ConvLSTM1D(3, 3, dilation_rate=2, return_sequences=True, dropout=0.2, recurrent_dropout=0.2)(x)
        ),
    ),
    "from states": (SIGNAL, _from_states),
    "masked pixels": (SIGNAL, lambda x: L.ConvLSTM1D(3, 3, padding="same")(L.Masking()(x))),
    "both ways": (SIGNAL, lambda x: L.Bidirectional(L.ConvLSTM1D(2, 3, return_sequences=True))(x)),
    "in time": ((2, 3, 6, 2), lambda x: L.TimeDistributed(L.ConvLSTM1D(2, 3))(x)),
    "ConvLSTM2D": (
        FILM,
        lambda x: L.ConvLSTM2D(3, 3, activation="relu", recurrent_activation="hard_sigmoid")(x),
    ),
    "backwards": (FILM, lambda x: L.ConvLSTM2D(2, 3, go_backwards=True, return_sequences=True)(x)),
    "ConvLSTM3D": (SCAN, lambda x: L.ConvLSTM3D(2, 3, padding="same")(x)),
    "own cell": (LINE, lambda x: L.RNN(OwnCell(4))(x)),
    "cell of layers": (LINE, lambda x: L.RNN(OfLayers(3), return_sequences=True, go_backwards=True)(x)),
    "own cells": (LINE, lambda x: L.RNN([L.GRUCell(3), OwnCell(4)])(x)),
    "own cell masked": (LINE, lambda x: L.RNN(OwnCell(4), return_sequences=True)(L.Masking()(x))),
    "own cell both ways": (LINE, lambda x: L.Bidirectional(L.RNN(OwnCell(4)))(x)),
}
IN_FLOAT = ("ConvLSTM3D",)
QUICK = ("LSTM", "bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "own cell", "own cell masked")


def _kinds(quick=QUICK):
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in LAYERS]


def _model(name):
    keras.utils.set_random_seed(0)
    shape, layer = LAYERS[name]
    inputs = keras.Input(shape)
    x = np.random.default_rng(0).normal(size=(16, *shape)).astype("float32")
    if "masked" in name:
        x[:8, -2:] = 0
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(layer(inputs)))), x


@pytest.mark.parametrize("name", _kinds())
def test_a_float_file_holds_the_loop(name):
    model, x = _model(name)
    file = tfopt.to_tflite(model)
    assert file.verify(model, x, classification=False).snr_db > 100
    loops = {each.name for each in file.summary().operators} & {"WHILE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}
    assert loops or "unrolled" in name


@pytest.mark.parametrize("name", _kinds())
def test_an_int8_file_holds_the_steps(name):
    model, x = _model(name)
    file = tfopt.to_tflite(model, "int8", x)
    assert file.verify(model, x, classification=False).snr_db > 20
    floats = {each.operator for each in file.summary().float_operators}
    assert ("WHILE" in floats) == (name in IN_FLOAT)
    assert name in IN_FLOAT or "masked" in name or not floats


@pytest.mark.parametrize("name", _kinds(("LSTM", "own cell")))
@pytest.mark.parametrize("scheme", some(["dynamic", "int16x8", "int4"], ["int16x8"]))
def test_other_schemes(name, scheme):
    model, x = _model(name)
    if scheme == "int4" and name in IN_FLOAT:
        with pytest.raises(ConversionError, match="engine='keras'"):
            tfopt.to_tflite(model, scheme, x)
        file = tfopt.to_tflite(model, scheme, x, engine="keras")
    else:
        file = tfopt.to_tflite(model, scheme, x)
    assert file.verify(model, x, classification=False).snr_db > (5 if scheme == "int4" else 30)


@pytest.mark.parametrize("name", _kinds(("ConvLSTM1D", "own cell masked", "cell of layers")))
@pytest.mark.parametrize(
    "scheme",
    ["int8", pytest.param("int16x8", marks=pytest.mark.slow), pytest.param("int4", marks=pytest.mark.slow)],
)
def test_quantization_aware_training(name, scheme, tmp_path):
    model, x = _model(name)
    quantized = tfopt.quantize_aware(model, scheme)
    tfopt.quantization.calibrate(quantized, x, batch_size=8)
    quantized.compile(keras.optimizers.SGD(0.01), "mse")
    quantized.fit(x, model.predict(x, verbose=0), verbose=0)
    file = tfopt.to_tflite(quantized)
    verification = file.verify(quantized, x, classification=False)
    assert verification.passed
    assert verification.snr_db > (25 if scheme == "int4" else 35)
    quantized.save(tmp_path / "quantized.keras")
    loaded = keras.models.load_model(tmp_path / "quantized.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), quantized.predict(x, verbose=0))


@pytest.mark.parametrize("engine", ["converter", "litert-quantizer"])
@pytest.mark.parametrize("name", ["LSTM", "unrolled by Keras"])
def test_other_engines_see_the_steps(name, engine):
    model, x = _model(name)
    file = tfopt.to_tflite(model, "int8", x, engine=engine)
    assert file.verify(model, x, classification=False).snr_db > 20
    assert not {each.operator for each in file.summary().float_operators} - {"SPLIT", "SPLIT_V"}


def test_a_rule_names_the_layer_that_was_unrolled():
    model, x = _model("LSTM")
    file = tfopt.to_tflite(model, "float32", x, rules={"lstm*": "int8"})
    products = [each for each in file.summary().float_operators if each.operator == "FULLY_CONNECTED"]
    assert [each.layer for each in products] == [model.layers[-1].name]


class Looping(L.Layer):
    """Code with a loop of its own, which cannot be read."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, x):
        return ops.fori_loop(0, 3, lambda _, state: ops.tanh(ops.matmul(state, self.kernel)), x[:, 0])


@pytest.fixture(name="looping")
def _looping():
    keras.utils.set_random_seed(0)
    inputs = keras.Input(LINE)
    x = np.random.default_rng(0).normal(size=(64, *LINE)).astype("float32")
    return keras.Model(inputs, L.Dense(3)(Looping(name="own")(L.Dense(4)(inputs)))), x


@pytest.mark.parametrize("engine", ["converter", "litert-quantizer"])
def test_a_loop_that_another_engine_cannot_look_into_is_left_in_float_by_the_default(looping, engine):
    model, x = looping
    with pytest.raises(ConversionError, match=r"'own.*' is a loop.*Take engine='keras'"):
        tfopt.to_tflite(model, "int8", x, engine=engine)
    with pytest.raises(UnsupportedOperation, match=r"rules=\{'own/fori_loop': None\}"):
        tfopt.to_tflite(model, "int8", x, engine="keras")
    file = tfopt.to_tflite(model, "int8", x, engine="keras", rules={"own/fori_loop": None})
    assert file.verify(model, x, classification=False).snr_db > 25
    integers = {each.name for each in file.summary().operators if "int8" in each.types}
    assert "FULLY_CONNECTED" in integers
    assert not integers & {"TANH", "WHILE"}


class Choosing(L.Layer):
    """A condition whose branches read a tensor around them."""

    def call(self, x):
        return ops.cond(ops.mean(x) > -9, lambda: ops.tanh(x), lambda: ops.sigmoid(x))


def test_branches_that_read_tensors_around_them_are_refused_and_both_ways_out_work(looping):
    _, x = looping
    inputs = keras.Input(LINE)
    model = keras.Model(inputs, L.Dense(3)(Choosing(name="own")(L.Dense(4)(inputs))))
    with pytest.raises(UnsupportedOperation, match=r"keras.ops.where.*rules=\{'own': None\}"):
        tfopt.quantize_aware(model)
    file = tfopt.to_tflite(model, "int8", x, rules={"own": None})
    assert file.verify(model, x, classification=False).snr_db > 25
    where = keras.Model(
        inputs, L.Dense(3)(L.Lambda(lambda x: ops.where(x > -9, ops.tanh(x), ops.sigmoid(x)))(inputs))
    )
    assert tfopt.to_tflite(where, "int8", x).verify(where, x, classification=False).snr_db > 25


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_model_that_cannot_run_is_told_apart_and_the_advice_works(scheme):
    """Keras takes a mask of the pixels before a convolution that leaves some out, and fails with it."""

    def model(padding):
        inputs = keras.Input(SIGNAL)
        return keras.Model(inputs, L.ConvLSTM1D(3, 3, padding=padding)(L.Masking()(inputs)))

    x = np.random.default_rng(0).normal(size=(16, *SIGNAL)).astype("float32")
    with pytest.raises(UnsupportedModel, match=r"itself fails .* until model\.predict\(x\) runs"):
        tfopt.to_tflite(model("valid"), scheme, x)
    runs = model("same")
    assert tfopt.to_tflite(runs, scheme, x).verify(runs, x, classification=False).passed
