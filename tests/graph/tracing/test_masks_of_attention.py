"""Masks that travel on tensors into attention that code calls: the graph computes the same in all rows."""

import keras
import numpy as np
import pytest

from tfopt import graph

L = keras.layers
TOKENS = np.array([[3, 5, 0, 0], [1, 2, 4, 0], [6, 1, 2, 3]])
TRIANGLE = np.tri(4, dtype=bool)[None]


class Embeds(L.Layer):
    """Embeds tokens; what it returns carries their mask."""

    def __init__(self):
        super().__init__()
        self.embedding = L.Embedding(8, 6, mask_zero=True)

    def compute_mask(self, *args):
        return self.embedding.compute_mask(*args)

    def call(self, x):
        return 2.0 * self.embedding(x)


class Attends(keras.Model):
    """Attention whose padded rows reach the output."""

    def __init__(self, attention, attend):
        super().__init__()
        self.embeds = Embeds()
        self.attention = attention
        self.attend = attend

    def call(self, x):
        return self.attend(self.attention, self.embeds(x))


def _multi_head():
    return L.MultiHeadAttention(2, 3)


KINDS = {
    "multi-head": (_multi_head, lambda layer, x: layer(query=x, value=x)),
    "causal": (_multi_head, lambda layer, x: layer(x, x, use_causal_mask=True)),
    "with a mask of its own": (_multi_head, lambda layer, x: layer(x, x, attention_mask=TRIANGLE)),
    "masked values alone": (_multi_head, lambda layer, x: layer(keras.ops.ones_like(x), x)),
    "grouped queries": (lambda: L.GroupQueryAttention(3, 4, 2), lambda layer, x: layer(x, x)),
    "attention": (L.Attention, lambda layer, x: layer([x, x])),
    "attention to masked values": (L.Attention, lambda layer, x: layer([keras.ops.ones_like(x), x])),
    "additive": (L.AdditiveAttention, lambda layer, x: layer([x, x])),
    "recurrent": (lambda: L.LSTM(3), lambda layer, x: layer(x)),
    "pooled": (L.GlobalAveragePooling1D, lambda layer, x: layer(x)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_masks_as_the_code_does(kind):
    keras.utils.set_random_seed(0)
    make, attend = KINDS[kind]
    model = Attends(make(), attend)
    expected = np.asarray(model(TOKENS))
    found = np.asarray(graph.as_functional(graph.copy(model))(TOKENS))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_masked_row_attends_to_nothing():
    keras.utils.set_random_seed(0)
    make, attend = KINDS["multi-head"]
    rows = np.asarray(Attends(make(), attend)(TOKENS))
    assert np.abs(rows[0, 3]).max() < np.abs(rows[2, 3]).max()
