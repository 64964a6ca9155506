"""Two recordings of the same code as one graph for any batch."""

import keras
import numpy as np
import pytest
from keras import ops

from tfopt.graph.tracing.batch import DependsOnBatch, for_any_batch


def _computed(code, x):
    inputs = keras.Input(x.shape[1:])
    outputs, _ = for_any_batch(lambda x: (code(x), []), inputs)
    return keras.Model(inputs, outputs)(x)


@pytest.mark.parametrize(
    "code",
    [
        lambda x: ops.reshape(x, (x.shape[0] * 2, 3)),
        lambda x: ops.reshape(ops.transpose(x, (1, 0, 2)), (2, x.shape[0], 3)),
        lambda x: x + np.ones((x.shape[0], 1, 1), "float32"),
        lambda x: ops.concatenate([x, np.full((x.shape[0], 1, 3), 2.0, "float32")], 1),
        lambda x: ops.concatenate([ops.transpose(x, (1, 0, 2)), np.ones((1, x.shape[0], 3), "float32")], 0),
        lambda x: (
            ops.tile(ops.mean(ops.ones_like(x), 0, keepdims=True)[:, :1] * 0.0, (1, 2, 1))
            + x[: x.shape[0], :]
        ),
        lambda x: (
            ops.reshape(x, (x.shape[0] * 2, 3)) + np.tile([[1.0], [2.0]], (x.shape[0], 1)).astype("float32")
        ),
    ],
)
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_graph_computes_the_same(code, batch):
    x = np.random.default_rng(0).normal(size=(batch, 2, 3)).astype("float32")
    np.testing.assert_allclose(_computed(code, x), code(ops.convert_to_tensor(x)), atol=1e-6)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (lambda x: ops.stack([x[i] for i in range(x.shape[0])]), "other operations for a batch of 3"),
        (lambda x: x * float(x.shape[0]), "Multiply .* as a number: 3 for a batch of 3, 11 for one of 11"),
        (lambda x: x * x.shape[0], "Multiply .* with the size of the batch as a number"),
        (lambda x: ops.relu(x) if x.shape[0] > 5 else ops.exp(x), "other operations"),
        (
            lambda x: ops.pad(x, [[0, x.shape[0] + 1], [0, 0], [0, 0]]),
            "the number 4 for a batch of 3, 12 for",
        ),
        (lambda x: x + np.arange(x.shape[0], dtype="float32")[:, None, None], "or on the place in it"),
    ],
)
def test_what_depends_on_the_size_is_refused(code, message):
    with pytest.raises(DependsOnBatch, match=message):
        for_any_batch(lambda x: (code(x), []), keras.Input((2, 3)))


@pytest.mark.parametrize(
    "code",
    [
        lambda x: ops.sum(x) / x.shape[0],
        lambda x: ops.sum(x) / ops.cast(6 * x.shape[0], "float32"),
        lambda x: ops.sum(ops.square(x)) * float(x.shape[0]),
        lambda x: keras.losses.MeanSquaredError()(ops.zeros_like(x), x),
    ],
)
@pytest.mark.parametrize("batch", [1, 7])
def test_a_loss_may_compute_with_the_size(code, batch):
    x = np.random.default_rng(0).normal(size=(batch, 2, 3)).astype("float32")
    inputs = keras.Input((2, 3))
    outputs, losses = for_any_batch(lambda x: (ops.relu(x), [code(x)]), inputs)
    _, loss = keras.Model(inputs, [outputs, *losses])(x)
    np.testing.assert_allclose(loss, code(ops.convert_to_tensor(x)), rtol=1e-6)
