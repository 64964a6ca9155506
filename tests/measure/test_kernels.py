"""Which variables of a model are kernels."""

import keras
import pytest
from keras import layers, ops

from tfopt.measure.kernels import kernels, kernels_of, prunable


def _built(layer, *shape):
    model = keras.Sequential([keras.Input(shape), layer])
    return model.layers[-1]


@pytest.mark.parametrize(
    ("layer", "shape", "paths"),
    [
        (layers.Dense(2), (3,), ["x"]),
        (layers.Conv2D(2, 1), (4, 4, 3), ["x"]),
        (layers.SeparableConv2D(2, 1), (4, 4, 3), ["x/depthwise_kernel", "x"]),
        (layers.BatchNormalization(), (3,), []),
        (layers.ReLU(), (3,), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else "",
)
def test_a_layer_of_keras_has_the_kernels_of_the_table(layer, shape, paths):
    assert [kernel.path for kernel in kernels_of("x", _built(layer, *shape))] == paths


def test_a_depthwise_kernel_and_a_table_are_pruned_by_rule_alone():
    (depthwise,) = kernels_of("x", _built(layers.DepthwiseConv2D(2), 4, 4, 3))
    assert not depthwise.by_default
    assert depthwise.multiplied
    (table,) = kernels_of("x", _built(layers.Embedding(5, 2), 3))
    assert table.reason == "an embedding"
    assert not table.multiplied


def test_the_path_of_a_recurrent_kernel_leaves_the_cell_out():
    model = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2, name="lstm")])
    found = prunable(model)
    assert [kernel.path for kernel in found] == ["lstm/kernel", "lstm/recurrent_kernel"]
    assert [kernel.layer_path for kernel in found] == ["lstm", "lstm"]


@keras.saving.register_keras_serializable(package="test_kernels")
class Own(layers.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 4), name="matrix")
        self.mask = self.add_weight(shape=(1, 4), name="mask")
        self.unused = self.add_weight(shape=(2, 2), name="unused")

    def call(self, x):
        return ops.matmul(x, self.matrix) * self.mask


def test_variables_of_own_layers_are_told_by_what_is_done_with_them():
    model = keras.Sequential([keras.Input((3,)), Own(name="own")])
    found = {kernel.path: kernel for kernel in kernels(model)}
    assert found["own/matrix"].by_default
    assert not found["own/mask"].by_default
    assert "element by element" in found["own/mask"].reason
    assert found["own/unused"].reason == "not read in an inference"
    assert not found["own/matrix"].saved


def test_a_shared_layer_and_its_kernel_come_once():
    dense, inputs = layers.Dense(3, name="dense"), keras.Input((3,))
    assert [kernel.path for kernel in prunable(keras.Model(inputs, dense(dense(inputs))))] == ["dense"]


def test_attention_is_the_group_of_its_kernels():
    inputs = keras.Input((4, 6))
    attention = layers.MultiHeadAttention(2, 3, name="mha")
    found = prunable(keras.Model(inputs, attention(inputs, inputs)))
    assert len(found) == 4
    assert {id(kernel.group) for kernel in found} == {id(attention)}
