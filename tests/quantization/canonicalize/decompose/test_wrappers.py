"""Layers around a layer, masks and embeddings as what they stand for."""

import numpy as np
import pytest
from keras import layers as L

from tfopt.errors import UnsupportedOperation

TOKENS = np.array([[1, 4, 0], [2, 2, 3]], "int32")


@pytest.mark.parametrize(
    ("layer", "shape", "becomes"),
    [
        (lambda: L.Dense(3), (5, 4), ["Dense"]),
        (lambda: L.Activation("tanh"), (5, 4), ["Activation"]),
        (lambda: L.Conv1D(3, 2), (5, 6, 4), ["Reshape", "Conv1D", "Reshape"]),
    ],
)
def test_time_distributed_is_its_layer(canonicalized, layer, shape, becomes):
    assert canonicalized(lambda x: L.TimeDistributed(layer())(x), shape) == becomes


def test_spectral_normalization_is_its_layer(canonicalized):
    assert canonicalized(lambda x: L.SpectralNormalization(L.Dense(3))(x), (4,)) == ["Dense"]


def test_masking_of_zeros_is_nothing(canonicalized):
    steps = np.ones((2, 3, 4), "float32") * np.array([1.0, 0.0, 1.0], "float32")[None, :, None]
    assert "Masking" not in canonicalized(lambda x: L.Dense(2)(L.Masking()(x)), samples=[steps])


def test_masking_of_another_value_is_refused(canonicalized):
    with pytest.raises(UnsupportedOperation, match="masks steps of the value -1"):
        canonicalized(lambda x: L.LSTM(2)(L.Masking(-1.0)(x)), (3, 4))


@pytest.mark.parametrize(("tie", "becomes"), [(True, "TiedEmbedding"), (False, "Dense")])
@pytest.mark.parametrize("cap", [None, 5.0])
def test_a_reversible_embedding_is_a_table_and_a_product(canonicalized, tie, becomes, cap):
    layer = L.ReversibleEmbedding(6, 4, tie_weights=tie, logit_soft_cap=cap)
    found = canonicalized(lambda x: layer(layer(x), reverse=True), samples=[TOKENS])
    assert found[0] == ("TiedEmbedding" if tie else "Embedding")
    assert becomes in found
    assert ("Tanh" in found) is (cap is not None)
