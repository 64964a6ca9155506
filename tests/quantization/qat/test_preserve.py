"""Zeros and clusters that earlier stages made, kept while the model trains."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tests.pruning.everywhere import MODELS, data
from tfopt.clustering.constraint import assignment_of
from tfopt.clustering.kept import clustered_kernels, different_weights
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import kernels
from tfopt.pruning.masks import masked
from tfopt.quantization import SCHEMES, KeptClusters, Scheme


def _clustered(model, values=(-0.3, -0.1, 0.2, 0.4)):
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            nearest = np.abs(layer.kernel.numpy()[..., None] - np.float32(values)).argmin(axis=-1)
            layer.kernel.assign(np.float32(values)[nearest])
    return model


def _mlp():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((12,)), L.Dense(10, activation="relu", name="a"), L.Dense(3, name="b")]
    )


X = np.random.default_rng(0).normal(size=(64, 12)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 64)


def _trained(model, optimizer="adam"):
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    return model


def _kernels(model):
    return [tfopt.graph.unwrapped(model.get_layer(name)).kernel.numpy() for name in "ab"]


@pytest.mark.parametrize(
    "optimizer",
    ["adam", pytest.param("sgd", marks=pytest.mark.slow), pytest.param("adamw", marks=pytest.mark.slow)],
)
def test_clusters_hold_under_every_optimizer_and_move(optimizer):
    model = _clustered(_mlp())
    before = [assignment_of(kernel) for kernel in _kernels(model)]
    quantized = tfopt.quantize_aware(model, preserve="clusters")
    tfopt.quantization.calibrate(quantized, X)
    _trained(quantized, optimizer)
    for assignment, kernel, start in zip(before, _kernels(quantized), _kernels(model), strict=True):
        values = [np.unique(kernel[assignment == number]) for number in range(assignment.max() + 1)]
        assert [len(each) for each in values] == [1] * len(values)
        assert not np.array_equal(kernel, start)


def test_it_trains_the_centroids():
    """The same as a layer whose only weights are its centroids, under SGD with momentum."""
    model = _clustered(keras.Sequential([keras.Input((12,)), L.Dense(3, use_bias=False, name="a")]))
    numbers = assignment_of(model.layers[0].kernel.numpy())

    class Centroids(L.Layer):
        def build(self, _):
            self.centroids = self.add_weight(shape=(numbers.max() + 1,), name="centroids")

        def call(self, x):
            return x @ keras.ops.take(self.centroids, numbers)

    reference = keras.Sequential([keras.Input((12,)), Centroids()])
    kernel = model.layers[0].kernel.numpy()
    reference.set_weights([np.array([kernel[numbers == n][0] for n in range(numbers.max() + 1)])])
    # Of weights in float there is no rounding, which the reference has not.
    clustered = tfopt.quantize_aware(model, preserve="clusters")
    clustered = keras.Sequential([keras.Input((12,)), _summing(clustered.get_layer("a"))])
    for each in (reference, clustered):
        _trained(each, keras.optimizers.SGD(0.01, momentum=0.9))
    got = np.array([clustered.get_weights()[0][numbers == n][0] for n in range(numbers.max() + 1)])
    np.testing.assert_allclose(got, reference.get_weights()[0], rtol=1e-4)


def _summing(quantizer):
    class Summing(L.Layer):
        def build(self, _):
            self.kernel = self.add_weight(shape=(12, 3), name="kernel", constraint=constraint)
            self.kernel.assign(quantizer.layer.kernel)

        def call(self, x):
            return x @ constraint.summed_gradients(self.kernel.value)

    constraint = quantizer.layer.kernel.constraint
    return Summing()


def test_both_zeros_and_clusters(tmp_path):
    model = tfopt.prune(_mlp(), 0.5)
    for kernel in (layer.kernel for layer in model.layers):
        values = kernel.numpy()
        kernel.assign(np.where(values == 0, 0, np.where(values > 0, 0.25, -0.5)))
    zeros = [kernel == 0 for kernel in _kernels(model)]
    quantized = tfopt.quantize_aware(model, preserve=("sparsity", "clusters"))
    tfopt.quantization.calibrate(quantized, X)
    quantized.save(tmp_path / "m.keras")
    loaded = _trained(keras.models.load_model(tmp_path / "m.keras"))
    for zero, kernel, start in zip(zeros, _kernels(loaded), _kernels(model), strict=True):
        np.testing.assert_array_equal(kernel == 0, zero)
        assert len(np.unique(kernel)) == 3
        assert not np.array_equal(kernel, start)


def test_zeros_without_a_mask_are_kept_where_asked():
    pruned = tfopt.prune(_mlp(), 0.5)
    model = _mlp()
    model.set_weights(pruned.get_weights())
    quantized = tfopt.quantize_aware(model, "int8_weights", preserve=["sparsity"])
    assert [np.mean(kernel == 0) for kernel in _kernels(_trained(quantized))] == [0.5, 0.5]


@pytest.mark.parametrize("scheme", ["int4", "int4_weights"])
def test_a_clustered_kernel_has_one_grid(scheme):
    quantized = tfopt.quantize_aware(_clustered(_mlp()), scheme, preserve="clusters")
    bits = SCHEMES[scheme].activation_bits
    own = Scheme(weight_bits=4, activation_bits=bits, per_channel=False)
    assert quantized.get_layer("a").scheme == own
    assert len(np.unique(quantized.get_layer("a").quantized_weights().values)) == 4


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4)])
def test_clusters_survive_their_config(shape):
    numbers = np.random.default_rng(0).integers(0, 3, shape)
    again = KeptClusters.from_config(KeptClusters(numbers, keras.constraints.NonNeg()).get_config())
    np.testing.assert_array_equal(again.assignment, numbers)
    w = again(np.random.default_rng(1).normal(size=shape).astype("float32")).numpy()
    assert len(np.unique(w)) == 3
    assert (w >= 0).all()
    with pytest.raises(InvalidArgumentError, match="cluster the model again"):
        again(np.zeros((7,), "float32"))


@pytest.mark.parametrize(
    ("preserve", "message"),
    [
        ("clusters", r"no kernel with clusters .*preserve='clusters'"),
        ("sparsity", "no kernel with zeros"),
        ("rank", "preserve to be one of 'sparsity', 'clusters', got 'rank'"),
    ],
)
def test_what_is_not_there_cannot_be_preserved(preserve, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.quantize_aware(_mlp(), preserve=preserve)


_SLOW = ("LSTM", "Bidirectional", "TimeDistributed")


@pytest.mark.parametrize(
    "name",
    ["own layer", "attention", "GRU", *(pytest.param(name, marks=pytest.mark.slow) for name in _SLOW)],
)
def test_zeros_in_layers_that_are_opened_stay_through_training_and_in_the_file(name, tmp_path):
    build, _ = MODELS[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A .keras file of this model")
        pruned = tfopt.prune(build(), 0.75)
    model = tfopt.quantize_aware(pruned)
    zeros = sum(kernel.zeros for kernel in tfopt.measure.layer_table(pruned))
    assert sum(np.count_nonzero(~entry.mask.value) for entry in masked(model)) == zeros
    x, y = data(model, 32)
    tfopt.quantization.calibrate(model, x)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    before = [entry.weights for entry in masked(model)]
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    after = [entry.weights for entry in masked(model)]
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert sum(np.count_nonzero(w == 0) for w in after) == zeros
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(masked(loaded)) == len(after)
    kernels = [weight for weight in tfopt.to_tflite(model).summary().weights if weight.dtype == "int8"]
    for size in {w.size for w in after}:
        in_file = sum(weight.zeros for weight in kernels if weight.size == size)
        assert in_file >= sum(np.count_nonzero(w == 0) for w in after if w.size == size)


@pytest.mark.parametrize("granularity", ["tensor", pytest.param("channel", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name",
    ["attention", *(pytest.param(name, marks=pytest.mark.slow) for name in ("own layer", "GRU", *_SLOW))],
)
def test_clusters_in_layers_that_are_opened_stay_unasked(name, granularity):
    build, _ = MODELS[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A .keras file of this model")
        clustered = tfopt.cluster(tfopt.prune(build(), 0.5), 4, granularity=granularity)
    before = clustered_kernels(clustered)
    model = tfopt.quantize_aware(clustered)
    assert clustered_kernels(clustered) == before  # the very same
    kept = clustered_kernels(model)
    assert len(kept) >= len(before)
    counts = {kernel.path: different_weights(kernel) for kernel in kernels(model)}
    x, y = data(model, 32)
    tfopt.quantization.calibrate(model, x)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    after = {kernel.path: different_weights(kernel) for kernel in kernels(model)}
    assert {path: after[path] for path in kept} == {path: counts[path] for path in kept}
    if granularity == "tensor":
        assert max(after[path] for path in kept) <= 4
    specs = {spec.path: spec for spec in tfopt.plan(clustered).weights}
    assert specs["head"].scheme.per_channel == (granularity == "channel")
