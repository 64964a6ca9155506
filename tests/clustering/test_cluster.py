"""`tfopt.cluster` by tfopt's own engine."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tests.at_length import some
from tests.pruning.everywhere import LOST_IN_FILES, MODELS, data
from tfopt.clustering import KeptClusters, NearestClusters, keep_clusters
from tfopt.clustering.kept import clustered_kernels, different_weights
from tfopt.errors import GoalError, InvalidArgumentError
from tfopt.measure.kernels import kernels
from tfopt.pruning.masks import masked

MODEL = keras.Sequential([keras.Input((4,)), L.Dense(3)])

pytestmark = pytest.mark.filterwarnings("ignore:A .keras file of this model")


def _cluster(model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A .keras file of this model")
        return tfopt.cluster(model, *args, **kwargs)


def _mlp(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((12,)), L.Dense(10, activation="relu", name="a"), L.Dense(6, name="b")]
    )


def _one_layer():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((12,)), L.Dense(6, use_bias=False, name="a")])


X = np.random.default_rng(0).normal(size=(64, 12)).astype("float32")
Y = np.random.default_rng(1).integers(0, 6, 64)


def _trained(model, optimizer="adam", epochs=2):
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return model


def _counts(model):
    return {kernel.path: different_weights(kernel) for kernel in kernels(model)}


def _weights(model):
    return {kernel.path: kernel.variable.numpy() for kernel in kernels(model)}


@pytest.mark.parametrize("name", some(MODELS, ["own layer", "attention", "nested"]))
def test_every_kind_of_kernel_is_clustered_trained_saved_and_trained_again(name, tmp_path):
    build, paths = MODELS[name]
    model = _cluster(build(), 4, assignments="fixed" if name in LOST_IN_FILES else None)
    expected = {*paths, "head"}
    assert set(clustered_kernels(model)) == expected
    x, y = data(model)
    model.compile("adam", "mse")
    before = _weights(model)
    model.fit(x, y, epochs=1, verbose=0)
    assert {path: count for path, count in _counts(model).items() if path in expected} == dict.fromkeys(
        expected, 4
    )
    assert all(not np.array_equal(before[path], _weights(model)[path]) for path in expected)

    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    if name in LOST_IN_FILES:
        assert set(keep_clusters(loaded)) == expected
    loaded.compile("adam", "mse")
    loaded.fit(x, y, epochs=1, verbose=0)
    assert all(count == 4 for path, count in _counts(loaded).items() if path in expected)


def test_a_file_that_loses_clusters_is_warned_of():
    with pytest.warns(UserWarning, match=r"tfopt.clustering.keep_clusters\(model\)"):
        tfopt.cluster(MODELS["own layer"][0](), 4)


@pytest.mark.parametrize(
    "optimizer", ["sgd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("adam", "adamw", "lion"))]
)
def test_clusters_hold_under_every_optimizer(optimizer):
    model = _cluster(_mlp(), 5, assignments="fixed")
    numbers = {path: kept.current() for path, kept in clustered_kernels(model).items()}
    _trained(model, optimizer)
    for path, weights in _weights(model).items():
        for number in range(5):
            assert len(np.unique(weights[numbers[path] == number])) == 1


def test_under_sgd_a_centroid_is_trained_with_the_mean_gradient():
    """The same as weights that are looked up in a table, with the mean of the gradients of those."""
    model = _cluster(_one_layer(), 5, assignments="fixed")
    numbers = clustered_kernels(model)["a"].current()
    counts = np.bincount(numbers.ravel())
    centroids = np.array([_first(model)[numbers == n][0] for n in range(5)], np.float64)
    x, y = X.astype(np.float64), Y
    for start in range(0, 64, 16):
        logits = x[start : start + 16] @ centroids[numbers]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(16), y[start : start + 16]] -= 1
        gradient = x[start : start + 16].T @ p / 16
        centroids -= 0.1 * np.bincount(numbers.ravel(), gradient.ravel()) / counts
    _trained(model, keras.optimizers.SGD(0.1), epochs=1)
    np.testing.assert_allclose(_first(model), centroids[numbers], rtol=1e-4, atol=1e-6)


def _first(model):
    return model.layers[0].kernel.numpy()


def test_assignments_may_follow_the_weights():
    model = _cluster(_mlp(), 4, assignments="nearest")
    before = {path: kept.current() for path, kept in clustered_kernels(model).items()}
    _trained(model, keras.optimizers.SGD(0.5), epochs=8)
    after = {path: kept.current() for path, kept in clustered_kernels(model).items()}
    assert any((before[path] != after[path]).any() for path in before)
    for path, weights in _weights(model).items():
        assert len(np.unique(weights)) <= 4
        for number in np.unique(after[path]):
            assert len(np.unique(weights[after[path] == number])) == 1


def test_nearest_follows_what_the_weights_would_be_by_themselves():
    """Step by step in NumPy: shadows take every step, centroids the mean of those of their weights."""
    model = _cluster(_one_layer(), 4, assignments="nearest")
    kept = clustered_kernels(model)["a"]
    shadow, numbers = kept._weights.numpy().astype(np.float64), kept.current()
    centroids = kept._centroids.numpy().astype(np.float64)
    for start in range(0, 64, 16):
        logits = X[start : start + 16] @ centroids[numbers]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(16), Y[start : start + 16]] -= 1
        step = -0.5 * X[start : start + 16].T @ p / 16
        shadow += step
        sums = np.bincount(numbers.ravel(), step.ravel(), 4)
        centroids += sums / np.maximum(np.bincount(numbers.ravel(), minlength=4), 1)
        numbers = np.abs(shadow[..., None] - centroids).argmin(-1)
    _trained(model, keras.optimizers.SGD(0.5), epochs=1)
    np.testing.assert_array_equal(kept.current(), numbers)
    np.testing.assert_allclose(_first(model), centroids[numbers], rtol=1e-3, atol=1e-5)


def test_centroids_that_are_not_trainable_stay():
    model = _cluster(_mlp(), 4, trainable=False)
    before = _weights(model)
    biases = model.layers[0].bias.numpy()
    _trained(model)
    for path, weights in _weights(model).items():
        np.testing.assert_array_equal(weights, before[path])
    assert not np.array_equal(model.layers[0].bias.numpy(), biases)


@pytest.mark.parametrize("assignments", ["fixed", "nearest"])
def test_zeros_of_a_pruned_model_stay_and_are_one_cluster(assignments):
    pruned = tfopt.prune(_mlp(), 0.5)
    zeros = {path: weights == 0 for path, weights in _weights(pruned).items()}
    model = _trained(_cluster(pruned, 4, assignments=assignments), keras.optimizers.SGD(0.2))
    assert len(masked(model)) == 2
    for path, weights in _weights(model).items():
        np.testing.assert_array_equal(weights == 0, zeros[path])
        assert len(np.unique(weights)) <= 4


def test_zeros_without_a_mask_stay_where_they_are_kept():
    model = _mlp()
    model.set_weights(tfopt.prune(model, 0.5).get_weights())
    kept = _trained(_cluster(model, 4))
    lost = _trained(_cluster(model, 4, keep_zeros=False))
    assert [np.mean(weights == 0) for weights in _weights(kept).values()] == [0.5, 0.5]
    assert all((weights != 0).all() for weights in _weights(lost).values())
    assert set(_counts(lost).values()) == {4}


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (L.Conv2D(5, 3), (8, 8, 4), (3,)),
        (L.Conv2DTranspose(5, 3), (8, 8, 4), (2,)),
        (L.EinsumDense("abc,cde->abde", (None, 3, 4)), (6, 9), (1, 2)),
        (L.DepthwiseConv2D(5), (8, 8, 3), (2, 3)),
    ],
)
def test_each_channel_has_centroids_of_its_own(layer, shape, axes):
    model = keras.Sequential([keras.Input(shape), type(layer).from_config(layer.get_config())])
    clustered = _cluster(model, 4, granularity="channel", rules={"*": 4})
    (kernel,) = (each.variable.numpy() for each in kernels(clustered))
    channels = np.moveaxis(kernel, axes, range(-len(axes), 0))
    channels = channels.reshape(-1, int(np.prod([kernel.shape[axis] for axis in axes])))
    assert [len(np.unique(channel)) for channel in channels.T] == [4] * channels.shape[1]
    assert len(np.unique(kernel)) == 4 * channels.shape[1]


def test_rules_decide_first():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            L.DepthwiseConv2D(3, name="depthwise"),
            L.Conv2D(8, 3, name="conv"),
            L.Flatten(),
            L.Dense(6, name="head"),
        ]
    )
    assert set(clustered_kernels(_cluster(model, 4))) == {"conv", "head"}
    ruled = _cluster(model, 4, rules={"depthwise": 3, "conv": 8, "head": None})
    assert {path: count for path, count in _counts(ruled).items() if path != "head"} == {
        "depthwise": 3, "conv": 8,
    }  # fmt: skip
    np.testing.assert_array_equal(ruled.get_layer("head").kernel, model.get_layer("head").kernel)


def test_the_gradients_of_the_outputs_say_where_centroids_are():
    """Large inputs get centroids near to their weights, small as these are."""
    large = np.arange(12) < 4
    x = X * np.where(large, 10, 0.1).astype("float32")
    model, errors = _mlp(), {}
    model.layers[0].kernel.assign(model.layers[0].kernel * np.where(large, 0.2, 1)[:, None])
    for init in ("kmeans++", "gradient"):
        clustered = _cluster(model, 6, init=init, data=x, rules={"b": None})
        difference = (clustered.layers[0].kernel - model.layers[0].kernel).numpy()
        errors[init] = np.square(difference[:4]).sum()
    assert errors["gradient"] < 0.5 * errors["kmeans++"]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, NearestClusters),
        ({"granularity": "channel"}, KeptClusters),
        ({"trainable": False}, KeptClusters),
        ({"bytes": 0.8}, KeptClusters),
    ],
)
def test_weights_may_move_where_that_is_offered(arguments, kind):
    made = _cluster(_mlp(), **({"clusters": 4} if "bytes" not in arguments else {}), **arguments)
    assert {type(kept) for kept in clustered_kernels(made).values()} == {kind}


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_budget_is_kept(scheme):
    from tfopt.clustering.budget import compressed_weights

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), L.Dense(128, name="a"), L.Dense(64, name="b")])
    whole = compressed_weights(model, scheme)
    small, large = (_cluster(model, bytes=share, scheme=scheme) for share in (0.4, 0.6))
    sizes = [compressed_weights(each, scheme) for each in (small, large)]
    if scheme == "float32":  # int8 here is how the float weights are rounded, not which clusters there are
        assert sizes[0] <= 0.4 * whole
        assert sizes[0] < sizes[1] <= 0.6 * whole
    assert sum(_counts(small).values()) < sum(_counts(large).values())
    absolute = _cluster(model, bytes=int(0.4 * whole), scheme=scheme)
    assert _counts(absolute) == _counts(small)


def test_a_budget_that_cannot_be_met_says_what_can():
    message = r"compress to \d+ bytes with the fewest clusters, and bytes=50"
    with pytest.raises(GoalError, match=message) as caught:
        tfopt.cluster(_mlp(), bytes=50)
    least = int(str(caught.value).split("compress to ")[1].split()[0])
    assert tfopt.cluster(_mlp(), bytes=round(least / 0.99) + 2)


def test_clustering_again_makes_new_clusters():
    once = _cluster(_mlp(), 8)
    twice = _cluster(once, 3)
    assert set(_counts(twice).values()) == {3}
    kept = twice.layers[0].kernel.constraint
    assert isinstance(kept, KeptClusters)
    assert kept.constraint is None


def test_the_model_is_left_as_it_is_and_other_constraints_work():
    model = keras.Sequential(
        [keras.Input((12,)), L.Dense(6, kernel_constraint=keras.constraints.NonNeg(), name="a")]
    )
    before = model.get_weights()
    clustered = _trained(_cluster(model, 4), keras.optimizers.SGD(0.5))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (clustered.layers[0].kernel.numpy() >= 0).all()
    assert len(np.unique(clustered.layers[0].kernel)) <= 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 1}, "clusters to be a whole number >= 2"),
        ({"clusters": 2.0}, "clusters to be a whole number >= 2"),
        ({"init": "best"}, "init to be one of 'kmeans\\+\\+', 'gradient'"),
        ({"init": "gradient"}, r"give data=x_train\[:256\]"),
        ({"granularity": "row"}, "granularity to be one of 'tensor', 'channel'"),
        ({"assignments": "free"}, "assignments to be one of 'nearest', 'fixed'"),
        ({"assignments": "nearest", "granularity": "channel"}, "trainable centroids of a whole tensor"),
        ({"trainable": 1}, "trainable to be True or False"),
        ({"bytes": 0}, "bytes to be a whole number >= 1"),
        ({"bytes": 1.5}, r"bytes to be a finite number in \(0, 1\)"),
        ({"bytes": 100, "clusters": 4}, "not both"),
        ({"scheme": "int4"}, "scheme to be one of 'float32', 'int8'"),
        ({"rules": {"c": 4}}, "The rule 'c' matches no layer"),
        ({"rules": {"a": 1}}, "'a': expected clusters to be a whole number >= 2"),
        ({"rules": {"*": None}}, "no kernel to cluster"),
        ({"clusters": 500}, "no kernel to cluster.*left out or too small"),
        ({"engine": "torch"}, "'torch'"),
        ({"engine": "tfmot", "granularity": "channel"}, "does not know granularity='channel'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.cluster(_mlp(), **arguments)


def test_two_clusters_are_too_few_beside_zeros():
    with pytest.raises(InvalidArgumentError, match="Give it 3 or more clusters"):
        tfopt.cluster(tfopt.prune(_mlp(), 0.5), 2)
    assert tfopt.cluster(tfopt.prune(_mlp(), 0.5), 3)


def test_a_clustered_model_is_not_pruned_and_the_other_order_works():
    with pytest.raises(InvalidArgumentError, match="prune the model first, then cluster it"):
        tfopt.prune(_cluster(_mlp(), 4), 0.5)
    assert set(_counts(_cluster(tfopt.prune(_mlp(), 0.5), 4)).values()) == {4}


@pytest.mark.parametrize("assignments", ["fixed", "nearest"])
def test_it_compiles_with_xla(assignments):
    model = _cluster(tfopt.prune(_mlp(), 0.5), 4, assignments=assignments)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=True)
    model.fit(X, Y, batch_size=32, verbose=0)
    assert set(_counts(model).values()) == {4}


def test_a_quantized_model_is_refused():
    with pytest.raises(InvalidArgumentError, match="is quantization-aware: cluster the float model first"):
        tfopt.cluster(tfopt.quantize_aware(_mlp()), 4)


def test_a_model_of_the_other_engine_is_to_be_stripped():
    wrapped = tfopt.cluster(_mlp(), 4, engine="tfmot")
    with pytest.raises(InvalidArgumentError, match=r"call tfopt\.tfmot\.strip"):
        tfopt.cluster(wrapped, 4)
    assert tfopt.cluster(tfopt.tfmot.strip(wrapped), 4)


def test_clusters_are_alike_on_two_devices(two_devices):
    with two_devices.scope():
        model = _cluster(_mlp(), 4, assignments="nearest")
        model.compile(keras.optimizers.SGD(0.2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    single = _trained(_cluster(_mlp(), 4, assignments="nearest"), keras.optimizers.SGD(0.2))
    for path, weights in _weights(model).items():
        np.testing.assert_allclose(weights, _weights(single)[path], rtol=1e-4, atol=1e-5)
