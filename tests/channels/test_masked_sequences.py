"""Masks of sequences behind layers of the user's own, of whose code nothing hands them on."""

import keras
import pytest

from tests.channels.equality import assert_cut_is_masked

L = keras.layers


@keras.saving.register_keras_serializable(package="test_masked_sequences")
class Doubles(L.Layer):
    """Hands the mask on, as Keras lets it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x):
        return 2.0 * x


READERS = {
    "multi-head": lambda x: L.MultiHeadAttention(2, 3)(x, x),
    "grouped queries": lambda x: L.GroupQueryAttention(3, 4, 2)(x, x),
    "attention": lambda x: L.Attention()([x, x]),
    "additive": lambda x: L.AdditiveAttention()([x, x]),
    "recurrent": lambda x: L.LSTM(3)(x),
    "both directions": lambda x: L.Bidirectional(L.GRU(3, return_sequences=True))(x),
    "pooled": lambda x: L.GlobalAveragePooling1D()(x),
}


@pytest.mark.parametrize("reader", READERS)
def test_layers_that_read_them_still_do(reader):
    keras.utils.set_random_seed(0)
    tokens = keras.Input((4,), dtype="int32")
    x = Doubles()(L.Embedding(8, 6, mask_zero=True)(tokens))
    model = keras.Model(tokens, L.Dense(5)(L.Dense(8)(READERS[reader](x))))
    _, keep, smaller = assert_cut_is_masked(model)  # which compares the whole models as well
    assert not keep.all()
    assert smaller.count_params() < model.count_params()
