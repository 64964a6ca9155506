"""What people write in call() is read as a graph: it computes the same at any batch size, and trains."""

import importlib.util
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import tfopt
from tfopt.errors import UnsupportedOperation
from tfopt.graph import as_functional, nodes
from tfopt.quantization import calibrate
from tfopt.quantization.canonicalize.canonicalize import canonical

_SPEC = importlib.util.spec_from_file_location("idioms", Path(__file__).with_name("idioms.py"))
idioms = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(idioms)

MODELS = {**{name: (lambda name=name: idioms.over(name)) for name in idioms.LAYERS}, **idioms.MODELS}


_TRAINABLE = [
    name
    for name in MODELS
    # A weight that is read beside its layer is one of its own from then on; a captured one was not Keras's.
    if name not in ("kernel_of_a_layer", "nested_model_with_a_constant")
]


def _samples(model, batch):
    rng = np.random.default_rng(batch)
    arrays = [
        rng.normal(size=(batch, *x.shape[1:])).astype("float32")
        if x.dtype == "float32"
        else rng.integers(0, 20, (batch, *x.shape[1:]))
        for x in as_functional(model).inputs
    ]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_computes_the_same_at_any_batch_size(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    opened, paths = canonical(as_functional(model))
    assert not paths.left_whole
    assert all(type(node.operation).__module__.startswith(("keras.", "tfopt.")) for node in nodes(opened))
    for batch in (1, 3, 8):
        x = _samples(model, batch)
        keras.tree.map_structure(
            lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5),
            opened(x),
            model(x, training=False),
        )


@pytest.mark.parametrize("name", _TRAINABLE)
def test_what_was_trainable_is_trainable_once(name):
    model = MODELS[name]()
    opened, _ = canonical(as_functional(model))
    assert sum(np.prod(w.shape) for w in opened.trainable_weights) == sum(
        np.prod(w.shape) for w in model.trainable_weights
    )


_FILES = ["token_tiled", "positions_tiled", "flat_and_back", "tf_attention", "low_rank", "nested"]
_QUICK_FILES = {"token_tiled"}


@pytest.mark.parametrize(
    "name", [name if name in _QUICK_FILES else pytest.param(name, marks=pytest.mark.slow) for name in _FILES]
)
def test_it_trains_at_any_batch_size_and_the_file_does_the_same(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    model = keras.Model(model.input, L.Dense(3)(model.output)) if name in idioms.LAYERS else model
    x = _samples(model, 24)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    quantized.compile("adam", "mse")
    for batch in (5, 8):
        targets = keras.tree.map_structure(np.zeros_like, quantized.predict(x, verbose=0))
        quantized.fit(x, targets, batch_size=batch, verbose=0)
    assert tfopt.to_tflite(quantized).verify(quantized, x).max_lsb <= 3


class Slow(L.Layer):
    def __init__(self, entered, leave, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.signals = L.Dense(8), (entered, leave)

    def call(self, x):
        entered, leave = self.signals
        if isinstance(x, keras.KerasTensor):
            entered.set()
            assert leave.wait(60)
        return self.inner(x + self.inner(ops.ones((1, 8))))


def test_other_threads_call_the_layers_of_a_traced_model_as_ever():
    entered, leave = threading.Event(), threading.Event()
    layer = Slow(entered, leave)
    x = keras.Input((8,))
    model = keras.Model(x, layer(x))
    before = model(np.ones((2, 8), "float32"))
    thread = threading.Thread(target=tfopt.quantize_aware, args=(model,))
    thread.start()
    assert entered.wait(60)
    try:
        assert type(layer.inner) is L.Dense
        assert isinstance(layer.inner(tf.ones((1, 8))), tf.Tensor)
        np.testing.assert_array_equal(model(np.ones((2, 8), "float32")), before)
        with pytest.raises(ValueError, match="KerasTensor"):
            tf.nn.relu(x)
    finally:
        leave.set()
        thread.join()


def _refused(code, make=None, name="own"):
    x = keras.Input((5, 8))
    y = L.Dense(3)(L.Flatten()(idioms.Code(code, make, name=name)(x)))
    return keras.Model(x, y)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            lambda _, x: tf.math.igamma(ops.abs(x), x),
            r"'own' .*tf\.math\.igamma .*test_idioms.py:\d+: .*rules=",
        ),
        (
            lambda _, x: x / ops.cast(ops.shape(x)[0], "float32"),
            r"'own' .*TrueDivide \('true_divide.*the size of the batch as a number: 3 for a batch of 3, ",
        ),
        (
            lambda _, x: x + ops.cast(ops.arange(ops.shape(x)[0]), "float32")[:, None, None],
            "on the place in it",
        ),
        (lambda _, x: ops.arcsin(x), "'own/arcsin"),
    ],
)
def test_a_refusal_names_the_operation_in_the_code(code, message):
    with pytest.raises(UnsupportedOperation, match=message) as error:
        tfopt.quantize_aware(_refused(code))
    assert "own/" in message or error.value.__cause__ is not None


def test_the_advice_to_leave_the_layer_in_float_works():
    model = _refused(lambda _, x: x / ops.cast(ops.shape(x)[0], "float32"))
    quantized = tfopt.quantize_aware(model, rules={"own": None})
    x = _samples(model, 8)
    calibrate(quantized, x)
    np.testing.assert_allclose(quantized(x), model(x), atol=0.1)


def test_code_that_asks_for_an_unknown_length_is_refused_and_the_advice_works():
    def make(length):
        x = keras.Input((length, 8))
        return keras.Model(x, idioms.Code(*idioms.LAYERS["positions"], name="own")(x))

    model = make(None)
    with pytest.raises(UnsupportedOperation, match=r"'own' .*\(None, None, 8\).*keras.Model\(inputs, model"):
        tfopt.quantize_aware(model)
    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, model(inputs))
    quantized = tfopt.quantize_aware(model)
    x = _samples(model, 16)
    calibrate(quantized, x)
    np.testing.assert_allclose(quantized(x), model(x), atol=0.1)


def test_what_is_called_inside_code_that_runs_in_place_has_its_path():
    _, paths = canonical(idioms.over("none_beside_a_tensor"))
    assert {"own/inner_0/dense", "own/inner_1/multiply"} <= set(paths.values())


@pytest.mark.parametrize("nested", [False, True])
def test_what_code_calls_for_inference_does_not_train(nested):
    keras.utils.set_random_seed(0)

    def make(layer):
        layer.inner = L.BatchNormalization()
        if nested:
            layer.inner = keras.Sequential([keras.Input((5, 8)), L.Dense(8), layer.inner, L.Dropout(0.9)])

    x = np.random.default_rng(0).normal(5, 3, (32, 5, 8)).astype("float32")
    quantized = tfopt.quantize_aware(_refused(lambda s, x: s.inner(x, training=False), make))
    calibrate(quantized, x)
    moving = [w for w in quantized.non_trainable_variables if "moving" in w.path]
    before = [w.numpy() for w in moving]
    assert len(before) >= 2
    quantized.compile("sgd", "mse")
    quantized.fit(x, np.zeros((32, 3)), verbose=0)
    assert all(map(np.array_equal, before, [w.numpy() for w in moving]))
    np.testing.assert_allclose(quantized(x, training=True), quantized(x), atol=1e-5)


def test_a_trace_that_keras_fails_leaves_tensorflow_as_it_was():
    canonical(as_functional(MODELS["none_beside_a_tensor"]()))
    assert tf.compat.v1.get_variable_scope().caching_device is None
