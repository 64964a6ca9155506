"""Attention layers as products of matrices and a softmax."""

import numpy as np
import pytest
from keras import layers as L
from keras import ops

MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 1, 0, 1]], bool)
X = np.random.default_rng(1).normal(size=(3, 5, 8)).astype("float32")


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "layer", [lambda: L.MultiHeadAttention(2, 4), lambda: L.GroupQueryAttention(4, 4, 2)]
)
def test_multi_head(canonicalized, layer, causal):
    found = canonicalized(lambda x: layer()(x, x, use_causal_mask=causal), (5, 8))
    assert found.count("Matmul") == 2
    assert {"Dense", "Softmax"} <= {*found}


def test_multi_head_returns_its_scores(canonicalized):
    canonicalized(lambda x: L.MultiHeadAttention(2, 4)(x, x, return_attention_scores=True), (5, 8))


def test_multi_head_reads_a_mask(canonicalized):
    layer = L.MultiHeadAttention(2, 4)
    found = canonicalized(
        lambda x, mask: layer(x, x, attention_mask=mask[:, None, :]), samples=[X, MASK], atol=1e-4
    )
    assert "MaskedScores" in found


@pytest.mark.filterwarnings("error:Code reads:UserWarning")
@pytest.mark.parametrize(
    "layer", [lambda: L.Attention(), lambda: L.Attention(use_scale=True), lambda: L.AdditiveAttention()]
)
def test_single_head(canonicalized, layer):
    found = canonicalized(lambda x, y: layer()([x, y]), (5, 8), (6, 8))
    assert "Softmax" in found
    assert not {"Attention", "AdditiveAttention"} & {*found}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_dot_product_attention(canonicalized, causal, scale):
    found = canonicalized(
        lambda q, k: ops.dot_product_attention(q, k, k, is_causal=causal, scale=scale), (5, 2, 4), (5, 2, 4)
    )
    assert found.count("Matmul") == 2
    assert "DotProductAttention" not in found
