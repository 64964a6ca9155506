"""Recurrent layers in quantization-aware training: loops that observe, train and become the same file."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt import graph
from tfopt.errors import UnsupportedOperation
from tfopt.quantization import calibrate, freeze_ranges
from tfopt.quantization.canonicalize.decompose.recurrent_dropout import RecurrentDropout
from tfopt.quantization.quantizers.activation import ActivationQuantizer

X = np.random.default_rng(0).normal(size=(16, 6, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 3)).astype("float32")

LAYERS = {
    "lstm": lambda: L.LSTM(5),
    "gru": lambda: L.GRU(5, name="gru"),
    "gru_reset_before": lambda: L.GRU(5, reset_after=False),
    "backwards": lambda: L.SimpleRNN(5, go_backwards=True),
    "bidirectional": lambda: L.Bidirectional(L.LSTM(3)),
}


def _quantized(layer, strategy=None, calibrated=True, policy="float32", **compiled):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((6, 4))
        model = keras.Model(inputs, L.Dense(3, dtype="float32")(layer()(inputs)))
        if strategy:
            with strategy.scope():
                model = graph.copy(model)
        model = tfopt.quantize_aware(model)
        if calibrated:
            calibrate(model, X, batch_size=8)
        if strategy:
            with strategy.scope():
                model.compile(keras.optimizers.SGD(0.05), "mse", **compiled)
        else:
            model.compile(keras.optimizers.SGD(0.05), "mse", **compiled)
    finally:
        keras.config.set_dtype_policy("float32")
    return model


def _ranges(model):
    return {
        path: (layer.minimum.numpy().copy(), layer.maximum.numpy().copy(), float(layer.batches))
        for path, layer in graph.layers(model)
        if isinstance(layer, ActivationQuantizer)
    }


def _train(model, epochs=1):
    model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return model


def _distance(one, other):
    return max(np.abs(a - b).max() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.mark.parametrize("name", LAYERS)
def test_the_loop_computes_what_its_steps_do_one_after_another(name):
    model = _quantized(LAYERS[name])
    np.testing.assert_array_equal(model.predict(X, verbose=0), graph.unrolled(model).predict(X, verbose=0))


def test_training_moves_the_ranges_of_every_step_unless_they_are_frozen():
    model = _quantized(LAYERS["lstm"])
    before = _ranges(model)
    freeze_ranges(model)
    frozen = _ranges(_train(model))
    freeze_ranges(model, frozen=False)
    after = _ranges(_train(model))
    for path, (low, high, _) in before.items():
        np.testing.assert_array_equal(frozen[path][:2], (low, high))
    path = next(path for path in before if path.endswith("carry.quantizer"))
    assert before[path][0].shape == (5,)  # the first of six steps only enters
    assert np.all(before[path][1] != after[path][1])


def test_a_loop_observes_what_calibration_does():
    """The first batch of a training without calibration passes unquantized, as calibration lets all do."""
    trained = _quantized(LAYERS["gru"], calibrated=False)
    expected = _quantized(LAYERS["gru"], calibrated=False)
    trained.optimizer.learning_rate = 0.0
    trained.train_on_batch(X, Y)
    calibrate(expected, X, batch_size=16, observer="min_max")
    for path, (low, high, batches) in _ranges(trained).items():
        if path.startswith("gru") and not path.startswith("gru.input"):
            # Weights are quantized in training, and not when ranges are sought.
            np.testing.assert_allclose(low.min(), _ranges(expected)[path][0].min(), atol=0.05)
            np.testing.assert_allclose(high.max(), _ranges(expected)[path][1].max(), atol=0.05)
            assert batches == 1


def test_two_devices_equal_one(two_devices):
    one, two = _quantized(LAYERS["lstm"]), _quantized(LAYERS["lstm"], two_devices)
    assert _distance(_train(one), _train(two)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{"jit_compile": True}, {"run_eagerly": True}])
def test_compiled_equals_eager(arguments):
    assert (
        _distance(_train(_quantized(LAYERS["lstm"])), _train(_quantized(LAYERS["lstm"], **arguments))) < 0.02
    )


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains(policy):
    plain, mixed = _train(_quantized(LAYERS["lstm"])), _train(_quantized(LAYERS["lstm"], policy=policy))
    assert _distance(plain, mixed) < 0.1


@pytest.mark.slow
def test_learned_ranges_have_gradients_in_a_loop():
    inputs = keras.Input((6, 4))
    model = keras.Model(inputs, L.Dense(3)(L.LSTM(5, name="lstm")(inputs)))
    model = tfopt.quantize_aware(model, tfopt.quantization.Scheme(activation_range="lsq"))
    calibrate(model, X)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    before = _ranges(model)
    after = _ranges(_train(model))
    assert before["lstm.sum.quantizer"][1] != after["lstm.sum.quantizer"][1]


def test_recurrent_dropout_is_of_training_alone_and_the_same_in_all_steps():
    model = _quantized(lambda: L.LSTM(64, recurrent_dropout=0.5, dropout=0.5, name="lstm"))
    assert any(isinstance(layer, RecurrentDropout) for _, layer in graph.layers(model))
    np.testing.assert_array_equal(model(X), model(X))
    assert np.any(np.asarray(model(X, training=True)) != np.asarray(model(X, training=True)))


WITH_DROPOUT = {
    "ConvLSTM, inputs": lambda: L.ConvLSTM1D(2, 2, dropout=0.5),
    "ConvLSTM, states": lambda: L.ConvLSTM1D(2, 2, padding="same", recurrent_dropout=0.5),
    "LSTM": lambda: L.LSTM(2, dropout=0.5, recurrent_dropout=0.5),
    "LSTM, inputs": lambda: L.LSTM(2, dropout=0.5),
    "GRU": lambda: L.GRU(2, dropout=0.5, recurrent_dropout=0.5),
    "GRU, reset before": lambda: L.GRU(2, dropout=0.5, recurrent_dropout=0.5, reset_after=False),
    "SimpleRNN": lambda: L.SimpleRNN(2, dropout=0.5, recurrent_dropout=0.5),
}


@pytest.mark.parametrize("name", WITH_DROPOUT)
def test_dropout_has_the_distribution_that_it_has_in_keras(name):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(1, 3, 2, 3) if "Conv" in name else (1, 3, 3)) * 2
    inputs = keras.Input(x.shape[1:])
    layer = WITH_DROPOUT[name]()
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([3 * each for each in layer.get_weights()])
    samples = np.repeat(x.astype("float32"), 20_000, 0)  # each sample has masks of its own
    quantized = tfopt.quantize_aware(model, "int8_weights")
    of_keras, of_copy = (np.asarray(each(samples, training=True)) for each in (model, quantized))
    for moment in (np.mean, np.std):
        np.testing.assert_allclose(moment(of_copy, 0), moment(of_keras, 0), atol=0.02)
    corner = [np.mean(np.abs(each) > 0.5, 0) for each in (of_keras, of_copy)]
    np.testing.assert_allclose(*corner, atol=0.02)


@pytest.mark.slow
def test_gates_that_have_a_mask_each_train_are_saved_and_become_a_file(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 4))
    recurrent = L.GRU(3, dropout=0.3, recurrent_dropout=0.3, reset_after=False)
    model = keras.Model(inputs, L.Dense(2)(recurrent(inputs)))
    x = np.random.default_rng(0).normal(size=(16, 3, 4)).astype("float32")
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    quantized.compile("adam", "mse")
    quantized.fit(x, np.zeros((16, 2)), verbose=0)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    file = tfopt.to_tflite(loaded)
    assert file.verify(loaded, x, classification=False).max_lsb <= 1
    assert not file.summary().float_operators


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic"])
def test_dropout_of_a_recurrent_layer_is_in_no_file(scheme):
    inputs = keras.Input((6, 4))
    model = keras.Model(inputs, L.Dense(3)(L.LSTM(5, dropout=0.5, recurrent_dropout=0.5)(inputs)))
    assert tfopt.to_tflite(model, scheme).verify(model, X)


def test_an_uncommon_state_is_refused_with_advice_that_makes_a_file_of_it():
    inputs = keras.Input(batch_shape=(1, 6, 4))
    with pytest.raises(UnsupportedOperation, match=r"initial_state.*return_state=True"):
        tfopt.quantize_aware(keras.Model(inputs, L.GRU(5, stateful=True)(inputs)))

    keras.utils.set_random_seed(0)
    gru, head = L.GRU(5, return_state=True), L.Dense(3)
    inputs, state = keras.Input((3, 4)), keras.Input((5,))
    outputs, last = gru(inputs, initial_state=state)
    model = keras.Model([inputs, state], {"y": head(outputs), "state": last})
    halves = np.concatenate([X[:, :3], X[:, 3:]])
    states = np.concatenate([np.zeros((16, 5), "float32"), gru(X[:, :3])[1]])
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, [halves, states])
    file = tfopt.to_tflite(quantized)
    assert file.verify(quantized, [halves, states])
    # Two calls with the state handed on are one on the whole.
    state = file.predict([X[:, :3], states[:16]])["state"]
    streamed = file.predict([X[:, 3:], state])["y"]
    np.testing.assert_allclose(streamed, head(gru(X)[0]), atol=0.1)


def test_a_long_sequence_is_as_quick_to_build_as_a_short_one():
    inputs = keras.Input((300, 4))
    model = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3)(L.GRU(5)(inputs))))
    assert len(graph.nodes(model)) < 20
    assert tfopt.quantization.left_in_float(keras.Model(inputs, L.Dense(3)(L.GRU(5)(inputs)))) == {}


def _concatenated(x):
    return L.Concatenate()([L.LSTM(4)(x), L.GRU(5)(x)])


def _next_to_others(x):
    return L.Concatenate()([L.Flatten()(x), L.LSTM(4)(x), L.Reshape((5,))(L.GRU(5)(x))])


def _states(x):
    _, hidden, carry = L.LSTM(4, return_state=True)(x)
    return L.Maximum()([hidden, carry])


@pytest.mark.parametrize(
    "meet",
    [
        L.Bidirectional(L.LSTM(4)),
        pytest.param(_concatenated, marks=pytest.mark.slow),
        pytest.param(_next_to_others, marks=pytest.mark.slow),
        _states,
    ],
)
def test_what_a_loop_ends_with_meets_other_tensors_in_one_scale(meet):
    """The steps keep their own scale, and the last output is rounded once more."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 4))
    quantized = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3)(meet(inputs))))
    calibrate(quantized, 3 * X, batch_size=8)
    quantized.compile(keras.optimizers.SGD(0.05), "mse")
    _train(quantized)
    tfopt.quantization.round_biases(quantized)
    assert tfopt.to_tflite(quantized).verify(quantized, 3 * X, classification=False).max_lsb <= 1
