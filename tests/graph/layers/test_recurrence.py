"""A loop of calls as one layer: unrolled, copied, saved; what layers in it may do."""

import keras
import numpy as np
import pytest
from keras import ops

from tfopt import graph
from tfopt.graph import Program, Recurrence

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


@keras.saving.register_keras_serializable(package="test_recurrence")
class Counter(keras.layers.Layer):
    """Counts its calls in training."""

    def build(self, shape):
        self.calls = self.add_weight(name="calls", initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.calls.assign_add(1.0)
        return x


def _sums(settings, first=True, inner=None):
    """A running sum of `2 x`, from zero or from a state that is given."""
    inner = inner or keras.layers.Rescaling(2.0, name="twice")
    x, state = keras.Input((4,)), keras.Input((4,))
    total = inner(x) + state
    body = Program.of([x, state], [total, total])
    start = keras.Input((4,))
    doubled = inner(start)
    loop = Recurrence(
        body, Program.of([start], [doubled, doubled]) if first else None, 5, name="loop", **settings
    )
    inputs = keras.Input((5, 4))
    given = [] if first else [keras.Input((4,))]
    return keras.Model([inputs, *given], loop([inputs, *given]))


ORDERS = [
    {},
    {"return_sequences": True},
    {"return_sequences": True, "backwards": True},
    {"return_sequences": True, "backwards": True, "in_order": True},
]


def _expected(settings, state=0.0):
    turned = X[:, ::-1] if settings.get("backwards") else X
    made = np.cumsum(2 * turned, axis=1) + state
    last = made[:, -1]
    if not settings.get("return_sequences"):
        return last, last
    return made[:, ::-1] if settings.get("in_order") else made, last


@pytest.mark.parametrize("settings", ORDERS)
@pytest.mark.parametrize("first", [True, False])
def test_a_loop_computes_what_its_steps_do(settings, first):
    model = _sums(settings, first)
    given = [X] if first else [X, np.ones((3, 4), "float32")]
    for made in (model, graph.unrolled(model), graph.copy(model), graph.lower(model)):
        for got, expected in zip(made(given), _expected(settings, 0.0 if first else 1.0), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-5)
    assert not any(isinstance(layer, Recurrence) for _, layer in graph.layers(graph.unrolled(model)))


def test_layers_in_a_loop_are_found_once():
    model = _sums({})
    assert [path for path, _ in graph.layers(model)] == ["loop", "twice"]


def test_layers_that_stand_outside_too_stay_shared_in_copies_and_files(tmp_path):
    inner = keras.layers.Dense(4, name="shared", kernel_initializer="ones", use_bias=False)
    loop = _sums({}, inner=inner)
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, inner(loop.get_layer("loop")([inputs])[0]))
    model.save(tmp_path / "model.keras")
    for made in (graph.copy(model), keras.models.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(made(X), model(X), rtol=1e-6)
        assert len(made.weights) == 1
        made.set_weights([np.zeros((4, 4))])
        assert np.all(np.asarray(made(X)) == 0)


@pytest.mark.parametrize("eager", [True, False])
def test_what_layers_assign_in_a_loop_is_assigned(eager):
    counter = Counter(name="counter")
    model = _sums({}, inner=counter)
    model.compile("sgd", "mse", run_eagerly=eager)
    model.train_on_batch(X, [X[:, 0], X[:, 0]])
    assert float(counter.calls) == 5


def test_gradients_pass_through_a_loop():
    inner = keras.layers.Dense(4, name="dense")
    model = _sums({}, inner=inner)
    flat = graph.unrolled(model)
    for made in (model, flat):
        made.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.get_weights()
    model.train_on_batch(X, [X[:, 0], X[:, 0]])
    looped = model.get_weights()
    model.set_weights(before)
    flat.train_on_batch(X, [X[:, 0], X[:, 0]])
    for one, other in zip(looped, flat.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_constants_and_slices_among_arguments_are_saved(tmp_path):
    x = keras.Input((4,))
    y = ops.concatenate([x[:, 1:3], ops.maximum(x, 0.5)[:, ::2]], axis=-1)
    inputs = keras.Input((5, 4))
    loop = Recurrence(Program.of([x], [y]), None, 5, return_sequences=True)
    model = keras.Model(inputs, loop([inputs]))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X)[0], model(X)[0])
