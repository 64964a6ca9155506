"""How layers made of others are decomposed: names, what stays trainable and shared, and what is refused."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.errors import UnsupportedOperation
from tfopt.quantization.canonicalize.canonicalize import canonical


def _over(layer, shape=(5, 8)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


class Positions(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = L.Embedding(5, 8, name="part")
        self.mix = L.Dense(8, name="part")

    def build(self, shape):
        self.shift = self.add_weight(name="shift", shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return self.mix(x + self.table(ops.arange(5))) * self.shift


def test_parts_have_the_path_of_the_whole():
    _, paths = canonical(_over(L.LSTM(4, name="lstm")))
    assert {"lstm/input", "lstm/recurrent", "lstm/gates", "lstm/output"} <= {*paths.values()}


def test_a_rule_for_the_whole_holds_for_its_parts():
    model = keras.Sequential([keras.Input((5, 8)), L.Dense(4), L.GRU(4, name="gru")])
    assert all(
        path.startswith("gru/") for path in tfopt.quantization.left_in_float(model, rules={"gru": None})
    )


def test_a_decomposed_layer_that_is_shared_stays_shared():
    inputs = keras.Input((5, 8))
    attention = L.MultiHeadAttention(2, 4, name="attention")
    once, twice = attention(inputs, inputs), None
    twice = attention(once, once)
    one, _ = canonical(keras.Model(inputs, once))
    two, _ = canonical(keras.Model(inputs, twice))
    assert two.count_params() == one.count_params() == attention.count_params()


def test_what_users_layers_hold_stays_trainable_and_keeps_its_name():
    layer = Positions(name="positions")
    model = _over(layer)
    rewritten, paths = canonical(model)
    assert sorted(tuple(w.shape) for w in rewritten.trainable_weights) == sorted(
        tuple(w.shape) for w in model.trainable_weights
    )
    assert {"positions/part", "positions/part_1", "positions/shift"} <= {*paths.values()}
    assert (layer.table.name, layer.mix.name) == ("part", "part")
    assert isinstance(layer.shift, keras.Variable)
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    np.testing.assert_allclose(rewritten(x), model(x), atol=1e-6)


def test_the_mask_of_a_pruned_kernel_is_reshaped_with_it():
    pruned = tfopt.prune(_over(L.EinsumDense("abc,cde->abde", (None, 2, 4))), sparsity=0.75)
    quantized = tfopt.quantize_aware(pruned)
    assert tfopt.measure.sparsity(quantized) == pytest.approx(0.75)
    quantized.compile("adam", "mse")
    quantized.fit(np.ones((8, 5, 8)), np.ones((8, 5, 2, 4)), verbose=0)
    assert tfopt.measure.sparsity(quantized) == pytest.approx(0.75)


def test_code_that_asks_for_numbers_is_named_with_the_rule_that_leaves_it_in_float():
    class Odd(L.Layer):
        def __init__(self, units):
            super().__init__(name="odd")
            self.units = units

        def call(self, x):
            return ops.convert_to_tensor(ops.convert_to_numpy(x)) if isinstance(x, keras.KerasTensor) else x

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape)

    model = _over(Odd(3))
    with pytest.raises(UnsupportedOperation, match=r"code of 'odd' \(Odd\).*rules=\{'odd': None\}"):
        tfopt.quantize_aware(model)
    assert tfopt.quantize_aware(model, rules={"odd": None}).get_layer("odd")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _over(L.Masking(-1.0)), "only 0 is in every grid"),
        (lambda: _over(lambda x: L.GRU(3)(_over(L.Masking())(x))), "'gru.*comes out of a nested model"),
        (lambda: _over(L.GRU(4), (None, 8)), "no fixed length"),
        (lambda: _over(lambda x: L.MultiHeadAttention(2, 4)(x, x), (None, 8)), "fixed sizes"),
        (lambda: _over(lambda x: ops.quantile(x, 0.5, axis=2)), r"'quantile' .*rules=\{'quantile': None\}"),
    ],
)
def test_what_has_no_rule_is_refused_by_name(make, message):
    with pytest.raises(UnsupportedOperation, match=message):
        tfopt.quantize_aware(make())


@keras.saving.register_keras_serializable(package="test_openings")
class Sampling(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, x):
        return x + keras.random.normal(ops.shape(x), seed=self.seed_generator)


@pytest.mark.parametrize(
    ("layer", "dtype", "advice"),
    [
        (L.Hashing(8), "int32", "preprocess outside the model"),
        (L.IntegerLookup(vocabulary=[3, 5]), "int64", "preprocess outside the model"),
        (L.StringLookup(vocabulary=["a"]), "string", "preprocess outside the model"),
        (L.Lambda(lambda x: ops.cumprod(x, axis=1)), "float32", "compute it outside the model"),
        (Sampling(), "float32", "return what they are drawn with"),
    ],
)
def test_what_no_file_can_hold_is_refused_with_what_to_do(layer, dtype, advice):
    inputs = keras.Input((4,), dtype=dtype)
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(UnsupportedOperation, match=advice) as error:
        tfopt.quantize_aware(model)
    assert "rules=" not in str(error.value)


def test_a_float_file_cannot_draw_random_numbers_either():
    with pytest.raises(UnsupportedOperation, match="'sampling' changes a variable"):
        tfopt.to_tflite(_over(Sampling(name="sampling"), (4,)))
