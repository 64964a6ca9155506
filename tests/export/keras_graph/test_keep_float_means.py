"""A mean in float of a quantized tensor is taken of the negated tensor; others stay."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.export.keras_graph.keep_float_means import keep_means_in_float

QUANTIZER = "FakeQuantWithMinMaxArgs"
X = np.random.default_rng(0).uniform(-5, 5, (2, 3, 4)).astype("float32")


def mean_of(*, before, after, reshaped=False):
    """Return a graph of a mean, with a quantizer before and after it or not."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, X.shape, name="x")
        x = tf.quantization.fake_quant_with_min_max_args(x) if before else x
        x = tf.reshape(x, (2, 12, 1)) if reshaped else x
        y = tf.reduce_mean(x, axis=1, name="mean")
        y = tf.quantization.fake_quant_with_min_max_args(y) if after else y
        tf.identity(y, name="y")
    return graph.as_graph_def()


def outputs(graph_def):
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run("y:0", {"x:0": X})


def negations(graph_def):
    keep_means_in_float(graph_def, [QUANTIZER])
    return [node.name for node in graph_def.node if node.op == "Neg"]


@pytest.mark.parametrize("reshaped", [False, True])
def test_a_mean_in_float_is_negated_twice_and_computes_the_same(reshaped):
    graph_def = mean_of(before=True, after=False, reshaped=reshaped)
    expected = outputs(graph_def)
    assert negations(graph_def) == ["mean/negated", "mean"]
    np.testing.assert_allclose(outputs(graph_def), expected, rtol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(True, True), (False, False)])
def test_a_mean_that_is_quantized_or_of_floats_stays(before, after):
    assert negations(mean_of(before=before, after=after)) == []
