"""Clustering by tensorflow-model-optimization, in a Keras 3 fit."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.measure.kernels import kernels


def _different(model):
    return {kernel.path: len(np.unique(kernel.variable.numpy())) for kernel in kernels(model)}


def test_it_clusters_in_fit_and_comes_back_as_the_same_model(cnn, some_digits, logits_loss):
    x, y = some_digits
    model = tfopt.cluster(
        cnn(),
        6,
        rules={"head": 4},
        engine="tfmot",
        engine_options={"cluster_centroids_init": "LINEAR"},
    )
    model.compile("adam", logits_loss)
    model.fit(x, y, verbose=0)
    stripped = tfopt.tfmot.strip(model)
    assert _different(stripped) == {"conv1": 6, "conv2": 6, "head": 4}
    assert np.allclose(stripped.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 1}, "whole number >= 2"),
        ({"clusters": 2, "engine_options": {"preserve_sparsity": True}}, "whole number >= 3"),
        ({"engine_options": {"cluster_centroids_init": "BEST"}}, "'LINEAR'"),
        ({"engine_options": {"number": 3}}, "no option 'number'"),
    ],
)
def test_bad_arguments(cnn, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.cluster(cnn(), engine="tfmot", **arguments)


def test_a_layer_that_it_does_not_cluster_is_named():
    model = keras.Sequential(
        [keras.Input((4, 6)), keras.layers.EinsumDense("bij,jk->bik", (4, 3), name="mix")]
    )
    with pytest.raises(UnsupportedOperation, match=r"cluster 'mix' \(EinsumDense\)"):
        tfopt.cluster(model, 4, engine="tfmot")


def test_what_tfopt_has_clustered_is_quantized_by_the_engine():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(10, name="a")])
    clustered = tfopt.cluster(model, 4)
    quantized = tfopt.quantize_aware(clustered, engine="tfmot", preserve=["clusters"])
    x = np.random.default_rng(0).normal(size=(32, 12)).astype("float32")
    tfopt.quantization.calibrate(quantized, x)
    np.testing.assert_allclose(quantized.predict(x, verbose=0), clustered.predict(x, verbose=0), atol=0.05)
