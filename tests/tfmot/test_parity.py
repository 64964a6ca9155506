"""The two engines beside one another: where they do the same, the figures are the same."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.pruning import Cubic
from tfopt.pruning.masks import masked
from tfopt.quantization.quantizers.weight import WeightQuantizer
from tfopt.tfmot.schedules import CubicSchedule


def _masks(model):
    return {entry.kernel.path: entry.mask.value for entry in masked(model)}


@pytest.mark.parametrize("sparsity", [0.1, 0.75])
def test_masks_are_equal_bit_by_bit(cnn, sparsity):
    ours = _masks(tfopt.prune(cnn(), sparsity))
    theirs = _masks(tfopt.tfmot.strip(tfopt.prune(cnn(), sparsity, engine="tfmot")))
    assert ours.keys() == theirs.keys()
    for path, mask in ours.items():
        assert np.array_equal(mask, theirs[path]), path


@pytest.mark.parametrize(
    "schedule",
    [
        Cubic(),
        Cubic(begin=3, end=50, frequency=7),
        Cubic(begin=0.25, end=1.0, initial_sparsity=0.3, frequency=2),
    ],
)
def test_the_cubic_schedule_asks_for_the_same_sparsity_at_every_step(schedule):
    total = 60
    theirs = CubicSchedule(schedule, 0.8)
    theirs.set_total(total)
    held = 0.0
    for step in range(total):
        updates, level = theirs(tf.constant(step + 1, tf.int64))
        held = float(level) if bool(updates) else held
        begun = bool(updates) or held
        expected = schedule.sparsity_at(step, total, 0.8) if begun else 0.0
        assert held == pytest.approx(expected, abs=1e-6), step


@pytest.fixture(scope="module")
def quantized(cnn, digits):
    """Both engines' models of the same weights, calibrated on the same data: (ours, TFMOT's bridge)."""
    x = digits.x_train[:128]
    ours = tfopt.quantize_aware(cnn(), rules={"head": tfopt.quantization.Scheme(per_channel=False)})
    theirs = tfopt.quantize_aware(cnn(), engine="tfmot")
    for model in (ours, theirs):
        tfopt.quantization.calibrate(model, x, observer="min_max")
    return ours, tfopt.tfmot.bridge_of(theirs)


@pytest.mark.slow
def test_fake_quantized_weights_are_equal(quantized):
    """Convolutions in both engines per channel, Dense in TFMOT per tensor, and so in ours by a rule."""
    ours, bridge = quantized
    for name in ("conv1", "conv2", "head"):
        wrapper = bridge.module.get_layer(f"quant_{name}")
        ((weight, quantizer, variables),) = wrapper._weight_vars
        theirs = quantizer(weight, training=False, weights=variables).numpy()
        layer = ours.get_layer(name)
        assert isinstance(layer, WeightQuantizer)
        assert np.allclose(layer.quantized().numpy(), theirs, rtol=0, atol=1e-6), name


def _without_chance():
    """Return the classifier without its dropout, which each Keras draws for itself."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv1")(inputs)
    x = keras.layers.BatchNormalization(name="bn1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2")(x)
    return keras.Model(inputs, keras.layers.Dense(10, name="head")(keras.layers.Flatten()(x)))


RANGES = {
    "image.quantizer": "quantize_layer.quantize_layer",
    "relu1.quantizer": "quant_relu1.output",
    "conv2.relu.quantizer": "quant_conv2.post_activation",
    "head.quantizer": "quant_head.post_activation",
}
"""A quantizer of ours -> TFMOT's name for the range."""


@pytest.mark.slow
def test_training_from_the_same_ranges_is_the_same(digits, logits_loss):
    """Activation ranges and weights after the same steps, fake quantization on in both from the first.

    The range of the input is that of all data in TFMOT and so held in ours; the others move by a thousandth a
    step in both.
    """
    x, y = digits.x_train[:128], digits.y_train[:128]
    ours = tfopt.quantize_aware(
        _without_chance(), rules={"head": tfopt.quantization.Scheme(per_channel=False)}
    )
    theirs = tfopt.quantize_aware(_without_chance(), engine="tfmot")
    for model in (ours, theirs):
        tfopt.quantization.calibrate(model, x, observer="min_max")
    # tf_keras numbers the layer that stands first.
    variables = {
        re.sub(r"quantize_layer_\d+", "quantize_layer", each.name): each
        for each in tfopt.tfmot.bridge_of(theirs).shared
    }
    for name, theirs_name in RANGES.items():
        quantizer = ours.get_layer(name)
        ends = [float(variables[f"{theirs_name}_{end}"].numpy()) for end in ("min", "max")]
        quantizer.momentum = 0.999
        quantizer.set_range(*ends, batches=1_000_000, held=name == "image.quantizer")
    before = {name: float(each.numpy()) for name, each in variables.items() if each.shape == ()}
    for model in (ours, theirs):
        model.compile(keras.optimizers.SGD(0.1), logits_loss)
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    for name, theirs_name in RANGES.items():
        for end, variable in (("min", "minimum"), ("max", "maximum")):
            moved = float(variables[f"{theirs_name}_{end}"].numpy())
            assert float(getattr(ours.get_layer(name), variable).numpy()) == pytest.approx(moved, abs=1e-6)
        assert (moved != before[f"{theirs_name}_max"]) == (name != "image.quantizer")

    def trained(model):
        return {
            (each.path.partition("/")[0], each.name.rpartition(".")[2]): each.numpy()
            for each in model.trainable_variables
        }

    mine, other = trained(ours), trained(theirs)
    assert mine.keys() == other.keys()
    for key, weights in mine.items():
        assert np.allclose(weights, other[key], rtol=0, atol=1e-6), key


@pytest.mark.slow
def test_clusters_are_assigned_as_by_the_nearest_centroid(cnn):
    """Against NumPy: the nearest centroid, of equally near ones the first."""
    bridge = tfopt.tfmot.bridge_of(
        tfopt.cluster(cnn(), 7, engine="tfmot", engine_options={"cluster_centroids_init": "LINEAR"})
    )
    for path in ("conv1", "conv2", "head"):
        wrapper = bridge.module.get_layer(f"cluster_{path}")
        weights = wrapper.original_clusterable_weights["kernel"].numpy()
        centroids = wrapper.cluster_centroids["kernel"].numpy()
        assert np.allclose(centroids, np.linspace(weights.min(), weights.max(), 7), atol=1e-6)
        nearest = np.abs(weights[..., None] - centroids).argmin(axis=-1)
        assert np.array_equal(wrapper.pulling_indices["kernel"].numpy(), nearest)


@pytest.mark.slow
def test_int8_files_of_both_engines_choose_the_same_classes(cnn, digits, logits_loss):
    model = cnn()
    model.compile(keras.optimizers.Adam(0.005), logits_loss)
    model.fit(digits.x_train, digits.y_train, epochs=30, verbose=0)
    answers = []
    for engine in ("keras", "tfmot"):
        quantized = tfopt.quantize_aware(model, engine=engine)
        tfopt.quantization.calibrate(quantized, digits.x_train[:256])
        quantized.compile(keras.optimizers.Adam(1e-5), logits_loss)
        quantized.fit(digits.x_train, digits.y_train, epochs=2, verbose=0)
        file = tfopt.to_tflite(quantized)
        assert file.verify(quantized, digits.x_test).passed
        answers.append(file.predict(digits.x_test).argmax(axis=1))
    assert np.mean(answers[0] == digits.y_test) > 0.9
    assert np.mean(answers[0] == answers[1]) >= 0.99
