"""The initial centroids: one table for what all methods promise, then each against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfopt.clustering.centroids import METHODS, density, k_means, linear
from tfopt.clustering.centroids.density import gap_beside_zero
from tfopt.clustering.find import find

WEIGHTS = arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.floats(-2, 2, width=32, allow_nan=False, allow_subnormal=False),
)
COUNTS = st.integers(1, 12)


def _error(weights, centroids):
    return float(np.square(weights.astype(np.float64)[:, None] - centroids).min(axis=1).sum())


@pytest.mark.parametrize("init", METHODS)
@settings(deadline=None, max_examples=40)
@given(weights=WEIGHTS, clusters=COUNTS)
def test_centroids_are_sorted_different_and_few(init, weights, clusters):
    found = METHODS[init](weights, clusters, None, 0)
    assert 1 <= len(found) <= clusters
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found, METHODS[init](weights, clusters, None, 0))


@settings(deadline=None, max_examples=100)
@given(weights=WEIGHTS, clusters=COUNTS)
def test_k_means_is_never_worse_than_equal_distances(weights, clusters):
    tolerance = 1e-5 * float(np.square(weights, dtype=np.float64).sum()) + 1e-12
    assert (
        _error(weights, k_means(weights, clusters)) <= _error(weights, linear(weights, clusters)) + tolerance
    )
    assert len(k_means(weights, clusters)) == min(clusters, len(np.unique(weights)))


def _optimal(weights, clusters):
    """The least squared error of all divisions of the sorted weights, by dynamic programming."""
    x = np.sort(weights.astype(np.float64))
    ends = range(len(x) + 1)
    cost = np.array([[x[i:j].var() * (j - i) if j > i else np.inf for j in ends] for i in ends])
    best = cost[0]
    for _ in range(clusters - 1):
        best = np.minimum(best, np.array([(best[: j + 1] + cost[: j + 1, j]).min() for j in ends]))
    return best[-1]


def test_k_means_comes_near_the_optimum():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(20):
        weights = rng.normal(size=40).astype(np.float32)
        ratios.append(_error(weights, k_means(weights, 6)) / _optimal(weights, 6))
    assert min(ratios) > 1 - 1e-4
    assert np.mean(ratios) < 1.05
    assert max(ratios) < 1.3


def test_k_means_is_as_good_as_a_library():
    from sklearn.cluster import KMeans

    weights = np.random.default_rng(0).normal(size=2000)
    theirs = KMeans(16, n_init=5, random_state=0).fit(weights[:, None]).inertia_
    assert _error(weights, k_means(weights, 16)) < 1.01 * theirs


def test_importance_draws_centroids_to_what_counts():
    weights = np.concatenate([np.linspace(-1, 0, 50), np.linspace(0.5, 1, 50)]).astype(np.float32)
    importance = np.where(weights > 0.4, 100.0, 1.0)
    near = [_error(weights[50:], k_means(weights, 4, each)) for each in (importance, None)]
    assert near[0] < near[1] / 2
    np.testing.assert_allclose(k_means(weights, 4, np.ones(100)), k_means(weights, 4), rtol=1e-6)
    np.testing.assert_allclose(k_means(weights, 4, np.zeros(100)), k_means(weights, 4), rtol=1e-6)


@pytest.fixture(scope="module")
def tfmot_centroids():
    """(weights, clusters, name, preserve_sparsity) -> the centroids of tensorflow-model-optimization."""
    from tfopt.tfmot.library import tfmot

    tfmot()
    from tensorflow_model_optimization.python.core.clustering.keras import clustering_centroids as theirs

    def centroids(weights, clusters, name, preserve_sparsity=False):
        import tensorflow as tf

        method = theirs.CentroidsInitializerFactory.get_centroid_initializer(
            getattr(theirs.CentroidInitialization, name)
        )
        made = method(tf.constant(weights), clusters, preserve_sparsity=preserve_sparsity)
        return made.get_cluster_centroids().numpy()

    return centroids


@pytest.mark.parametrize("clusters", [2, 7, 16])
@pytest.mark.parametrize(("name", "method"), [("LINEAR", linear), ("DENSITY_BASED", density)])
def test_the_same_as_tensorflow_model_optimization(tfmot_centroids, name, method, clusters):
    for seed in range(3):
        weights = np.random.default_rng(seed).normal(size=(300,)).astype(np.float32)
        theirs = np.unique(tfmot_centroids(weights, clusters, name))
        np.testing.assert_allclose(method(weights, clusters), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "init"), [("LINEAR", "linear"), ("DENSITY_BASED", "density")])
def test_the_same_beside_zeros(tfmot_centroids, name, init):
    weights = np.random.default_rng(0).normal(size=(300,)).astype(np.float32)
    weights[np.abs(weights) < 0.7] = 0
    theirs = np.unique(tfmot_centroids(weights, 9, name, preserve_sparsity=True))
    found = find(weights, 9, init=init, alive=weights != 0)
    nearest = theirs[np.abs(weights[:, None] - theirs).argmin(1)]
    np.testing.assert_allclose(found.values[weights != 0], nearest[weights != 0], rtol=0, atol=1e-6)
    assert (found.values[weights == 0] == 0).all()


def test_the_gap_keeps_weights_of_one_sign_from_zero():
    weights = np.array([0.004, 0.5], np.float32)
    assert gap_beside_zero(weights) == pytest.approx(0.002)
    assert density(weights, 4, gap=gap_beside_zero(weights)).min() > 0


@settings(deadline=None, max_examples=60)
@given(
    weights=WEIGHTS,
    clusters=st.integers(3, 9),
    init=st.sampled_from(list(METHODS)),
    share=st.floats(0, 1),
)
def test_each_weight_is_at_the_nearest_centroid_and_zeros_at_zero(weights, clusters, init, share):
    alive = np.random.default_rng(0).random(weights.shape) >= share
    weights = np.where(alive, weights, 0).astype(np.float32)
    found = find(weights, clusters, init=init, alive=alive)
    assert len(found.centroids) <= clusters
    assert set(found.numbers.ravel()) == set(range(len(found.centroids)))
    assert (found.values[~alive] == 0).all()
    others = found.centroids if alive.all() else found.centroids[:-1]
    if alive.any():
        distance = np.abs(weights[alive][:, None].astype(np.float64) - others).min(1)
        np.testing.assert_allclose(np.abs(weights[alive] - found.values[alive]), distance, atol=1e-6)
