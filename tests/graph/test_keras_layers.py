"""What the adapter to single layers of Keras does: a canary for the next version of Keras."""

import threading

import keras
import numpy as np
import pytest
from keras import layers, ops

from tfopt.graph import _keras_layers, attention_dropout, attention_masked, own_trainable, replace_variable


def test_a_variable_takes_the_place_of_another_in_all_that_keras_knows():
    one, other = layers.Dense(2), layers.Dense(2)
    for layer in (one, other):
        layer.build((None, 3))
    bias = one.bias
    replace_variable(one, one.kernel, other.kernel)
    assert one.kernel is other.kernel
    assert one.trainable_variables == [other.kernel, bias]
    one.trainable = False
    assert one.non_trainable_variables == [other.kernel, bias]
    assert own_trainable(one) == [other.kernel, bias]


def test_calls_are_replaced_for_these_layers_alone_and_for_a_while():
    one, other = layers.Dense(2), layers.Dense(2)
    x = np.ones((1, 3), "float32")
    expected = one(x)

    def called(layer, call, args, kwargs):
        return call(*args, **kwargs) + 1

    with _keras_layers.calls_replaced([one], called):
        np.testing.assert_allclose(one(x), expected + 1)
        assert isinstance(one, layers.Dense)
        other(x)
    np.testing.assert_array_equal(one(x), expected)
    assert type(one) is layers.Dense


def test_each_thread_is_told_its_own_losses():
    class Adds(_keras_layers.LossesByThread):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    layer = Adds()
    layer(np.ones(3, "float32"))
    found = []
    first, second = threading.Event(), threading.Event()

    def other():
        layer.add_loss(ops.convert_to_tensor(7.0))
        first.set()
        second.wait()
        found.append([float(loss) for loss in layer.losses])

    thread = threading.Thread(target=other)
    thread.start()
    first.wait()
    mine = [float(loss) for loss in layer.losses]
    second.set()
    thread.join()
    assert mine == [3.0]
    assert found == [[7.0]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.25),
        lambda: layers.GroupQueryAttention(3, 2, 1, dropout=0.25),
    ],
)
def test_attention_masks_as_it_is_told_for_a_while(make):
    layer = make()
    x = np.random.default_rng(0).normal(size=(1, 4, 6)).astype("float32")
    mask = np.ones((1, 4, 4), bool)
    plain = layer(x, x, attention_mask=mask, return_attention_scores=True)
    seen = []

    def masked(scores, attention_mask):
        seen.append(attention_mask.shape)
        return scores * 0

    assert attention_dropout(layer) == 0.25
    with attention_masked(layer, masked):
        _, scores = layer(x, x, attention_mask=mask, return_attention_scores=True)
    assert seen
    np.testing.assert_allclose(scores, np.full((1, 2, 4, 4), 0.25), rtol=1e-5)
    again = layer(x, x, attention_mask=mask, return_attention_scores=True)
    np.testing.assert_array_equal(again[1], plain[1])


def test_the_lists_of_keras_are_told_from_what_users_set():
    layer = layers.Dense(2)
    layer.build((None, 3))
    layer.mine = [layer.kernel]
    kept = {name for name in vars(layer) if not _keras_layers.is_bookkeeping(name)}
    assert {"_kernel", "bias", "mine"} <= kept
    assert not kept & {"_trainable_variables", "_layers", "_tracker", "_losses"}
    assert keras.layers.MultiHeadAttention(1, 1)._kernel_constraint is None
