"""What two readings of one code have in common is done once."""

import keras
import numpy as np
from keras import layers, ops

from tfopt.graph import Constant
from tfopt.graph.tracing.equal_calls import joined

X = keras.Input((3,))


def _operations(tensor):
    """Return the operations that make a tensor, itself last."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    inner = [each for x in node.input_tensors if x is not X for each in _operations(x)]
    return [*inner, history.operation]


def test_what_both_do_is_shared_and_what_differs_is_not():
    first, second = ops.exp(ops.abs(X)), ops.sqrt(ops.abs(X))
    made = joined(first, second, [X])
    assert _operations(made)[0] is _operations(first)[0]
    assert type(_operations(made)[-1]).__name__ == "Sqrt"
    assert joined(first, ops.exp(ops.abs(X)), [X]) is first


def test_other_settings_are_another_operation():
    first, second = ops.sum(X, axis=-1), ops.sum(X, axis=-1, keepdims=True)
    assert joined(first, second, [X]) is not first
    assert joined(first, second, [X]).shape == (None, 1)


def test_arrays_count_by_their_values():
    first = X * np.ones(3, "float32")
    assert joined(first, X * np.ones(3, "float32"), [X]) is first
    assert joined(first, X * np.zeros(3, "float32"), [X]) is not first


def test_constants_that_train_are_never_the_same():
    def made(trainable):
        layer = Constant((3,), trainable=trainable)
        return layer(X)

    first = made(False)
    assert joined(first, made(False), [X]) is first
    first = made(True)
    assert joined(first, made(True), [X]) is not first


def test_a_layer_with_weights_is_the_same_only_as_itself():
    dense, other = layers.Dense(2), layers.Dense(2)
    first = dense(X)
    assert joined(first, dense(X), [X]) is first
    assert joined(first, other(X), [X]) is not first
    dropout = layers.Dropout(0.5)(X)
    assert joined(dropout, layers.Dropout(0.5)(X), [X]) is dropout
    assert joined(dropout, layers.Dropout(0.2)(X), [X]) is not dropout


def test_the_structure_is_that_of_the_second():
    first = ops.exp(X)
    made = joined([first], {"same": ops.exp(X), "input": X}, [X])
    assert made == {"same": first, "input": X}
