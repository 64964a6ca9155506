"""Masks that travel on tensors into attention that code calls: the graph computes the same in all rows."""

import keras
import numpy as np
import pytest

from tfopt import graph

L = keras.layers
TOKENS = np.array([[3, 5, 0, 0], [1, 2, 4, 0], [6, 1, 2, 3]])


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

    def __init__(self, **kwargs):
        super().__init__()
        self.embeds = Embeds()
        self.attention = L.MultiHeadAttention(2, 3)
        self.kwargs = kwargs

    def call(self, x):
        embedded = self.embeds(x)
        return self.attention(query=embedded, value=embedded, **self.kwargs)


@pytest.mark.parametrize(
    "kwargs", [{}, {"use_causal_mask": True}, {"attention_mask": np.tri(4, dtype=bool)[None]}]
)
def test_rows_of_masked_queries(kwargs):
    keras.utils.set_random_seed(0)
    model = Attends(**kwargs)
    expected = np.asarray(model(TOKENS))
    found = np.asarray(graph.as_functional(graph.copy(model))(TOKENS))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected[0, 3]).max() < np.abs(expected[2, 3]).max()  # a masked row attends to nothing
