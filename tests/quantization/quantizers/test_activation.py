"""The layer that quantizes activations: how its range moves, and when it does not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.quantization import ActivationQuantizer
from tfopt.quantization.quantizers.delayed_start import QuantizationDelay
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.scheme import scheme_of

RNG = np.random.default_rng(0)
BATCHES = [(RNG.normal(0.2, 1 + 0.1 * i, (8, 3))).astype("float32") for i in range(30)]


def built(**arguments):
    layer = ActivationQuantizer(**arguments)
    layer.build((None, 3))
    return layer


def ends(layer):
    return float(layer.minimum), float(layer.maximum)


@pytest.fixture(scope="module")
def traced():
    """A traced training step of a layer."""

    def make(layer):
        return tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, 3))])

    return make


def test_the_range_is_the_average_of_the_batches_extremes(traced):
    layer = built(momentum=0.9)
    step = traced(layer)
    low = high = 0.0
    for seen, batch in enumerate(BATCHES):
        step(batch)
        rate = max(0.1, 1 / (seen + 1))
        low, high = low + rate * (batch.min() - low), high + rate * (batch.max() - high)
        assert ends(layer) == pytest.approx((low, high), rel=1e-5)
    assert float(layer.batches) == len(BATCHES)


def test_a_frozen_range_stays_in_a_step_that_was_traced_before(traced):
    layer = built()
    step = traced(layer)
    for batch in BATCHES[:3]:
        step(batch)
    layer.freeze()
    before = ends(layer)
    for batch in BATCHES[3:]:
        step(batch)
    assert ends(layer) == before
    layer.freeze(False)
    step(BATCHES[-1])
    assert ends(layer) != before


def test_where_nothing_is_negative_the_minimum_need_not_be_sought(traced):
    plain, spared = built(), built(nonnegative=True)
    first, second = traced(plain), traced(spared)
    for batch in BATCHES:
        x = np.maximum(batch, 0)
        np.testing.assert_array_equal(first(x), second(x))
    operations = [
        {op.type for op in step.get_concrete_function().graph.get_operations()} for step in (first, second)
    ]
    assert "Min" in operations[0]
    assert "Min" not in operations[1]


def test_the_zero_point_of_a_symmetric_quantizer_is_0():
    layer = built(symmetric=True)
    for batch in BATCHES:
        layer(batch, training=True)
    fixed = layer.lower()
    step = (fixed.maximum - fixed.minimum) / 255
    assert -128 - fixed.minimum / step == pytest.approx(0, abs=1e-4)
    assert fixed.maximum == pytest.approx(max(-ends(layer)[0], ends(layer)[1]))
    y = np.asarray(layer(BATCHES[0]))
    np.testing.assert_allclose(y / step, np.round(y / step), atol=1e-3)
    np.testing.assert_array_equal(y, fixed(BATCHES[0]))


def test_an_overflow_does_not_ruin_the_range(traced):
    layer = built()
    step = traced(layer)
    step(BATCHES[0])
    before = ends(layer)
    step(np.full((2, 3), np.nan, np.float32))
    step(np.array([[np.inf, 0, -np.inf]], np.float32))
    assert ends(layer) == before


def test_before_any_data_the_input_passes_and_there_is_nothing_to_export():
    layer = built()
    np.testing.assert_array_equal(layer(BATCHES[0]), BATCHES[0])
    with pytest.raises(InvalidArgumentError, match="has seen no data"):
        layer.lower()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_input_keeps_its_dtype(dtype):
    layer = built()
    x = tf.cast(BATCHES[0], dtype)
    assert layer(x, training=True).dtype == dtype
    assert layer(x).dtype == dtype
    assert layer.minimum.dtype == "float32"


@pytest.mark.parametrize(
    ("activation_range", "symmetric", "nonnegative", "trained"),
    [
        ("lsq", False, False, ["minimum", "maximum"]),
        ("lsq", True, False, ["maximum"]),
        ("lsq", False, True, ["maximum"]),
        ("pact", False, False, ["minimum", "maximum"]),
        ("observed", False, False, []),
    ],
)
def test_what_is_trained(activation_range, symmetric, nonnegative, trained):
    layer = built(activation_range=activation_range, symmetric=symmetric, nonnegative=nonnegative)
    assert [variable.name for variable in layer.trainable_variables] == trained
    assert len(layer.losses) == (len(trained) if activation_range == "pact" else 0)


@pytest.mark.parametrize("activation_range", ["lsq", "pact"])
def test_a_trained_range_starts_from_the_first_batch_follows_its_gradient_and_can_be_frozen(
    activation_range, traced
):
    layer = built(activation_range=activation_range)
    step = traced(layer)
    step(BATCHES[0])
    assert ends(layer) == (BATCHES[0].min(), BATCHES[0].max())
    step(10 * BATCHES[1])
    assert ends(layer) == (BATCHES[0].min(), BATCHES[0].max())
    optimizer = keras.optimizers.Adam(0.2)

    def train():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(3 * BATCHES[1], training=True) - 3 * BATCHES[1]))
        optimizer.apply(
            tape.gradient(loss, [v.value for v in layer.trainable_variables]), layer.trainable_variables
        )
        return float(loss)

    losses = [train() for _ in range(20)]
    assert losses[-1] < 0.6 * losses[0]  # the range grows to hold what was clipped
    layer.freeze()
    frozen = layer.lower()
    y = layer(BATCHES[5]).numpy()
    before = ends(layer)
    train()  # momentum moves the variables on
    assert ends(layer) != before
    np.testing.assert_array_equal(layer(BATCHES[5]), y)
    assert (layer.lower().minimum, layer.lower().maximum) == (frozen.minimum, frozen.maximum)


def test_a_closed_gate_lets_floats_pass_while_the_range_is_observed(traced):
    layer, fixed = built(), FixedQuantizer(-1.0, 1.0)
    layer.delay = fixed.delay = QuantizationDelay(keras.Variable(0.0, trainable=False))
    step, fixed_step = traced(layer), traced(fixed)
    np.testing.assert_array_equal(step(BATCHES[0]), BATCHES[0])
    np.testing.assert_array_equal(fixed_step(BATCHES[0]), BATCHES[0])
    assert ends(layer) == (BATCHES[0].min(), BATCHES[0].max())
    assert len(np.unique(layer(np.linspace(-1, 1, 3000).reshape(-1, 3)))) <= 256
    layer.delay.end()
    assert not np.array_equal(step(BATCHES[0]), BATCHES[0])
    np.testing.assert_array_equal(fixed_step(BATCHES[0]), fixed(BATCHES[0]))


def test_the_configuration_is_complete():
    layer = ActivationQuantizer(0.9, "mse", "lsq", symmetric=True, nonnegative=True, name="q")
    again = ActivationQuantizer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.symmetric


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.0}, "momentum"),
        ({"observer": "kl"}, "'entropy'"),
        ({"activation_range": "learned"}, "'pact'"),
        ({"symmetric": 1}, "True or False"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        ActivationQuantizer(**arguments)


def test_what_is_for_files_alone_is_refused_with_the_way_to_get_it():
    with pytest.raises(InvalidArgumentError, match=r"not supported: .*to_tflite\(model, 'float16'"):
        scheme_of("float16")
