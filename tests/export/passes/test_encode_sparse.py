"""Weights without their zeros: the same outputs bit for bit, of fewer bytes."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export import inspect_file
from tfopt.export.options import Options
from tfopt.export.runtime.tflite_model import quantize


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((16, 8, 8, 8)).astype("float32")


@pytest.fixture(scope="module")
def pruned():
    """Each operator whose weights may be sparse, large enough that it pays."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 8))
    y = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv")(inputs)
    y = layers.Conv2D(64, 1, activation="relu", name="pointwise")(y)
    y = layers.DepthwiseConv2D(5, padding="same", activation="relu", name="depthwise")(y)
    y = layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu", name="up")(y)
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    y = layers.Dense(200, activation="relu", name="hidden")(y)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(y))
    return tfopt.prune(model, 0.85, rules={"depthwise": 0.85, "*": 0.85})


@pytest.fixture(scope="module")
def files(pruned, x):
    """Scheme -> the file and its sparse twin."""
    return {
        scheme: tuple(
            tfopt.to_tflite(pruned, scheme, representative_dataset=x, sparse=sparse)
            for sparse in (False, True)
        )
        for scheme in SPARSE
    }


CONVOLUTIONS = {"conv", "pointwise", "depthwise", "up"}
SPARSE = {
    scheme: CONVOLUTIONS | ({"hidden", "head"} if scheme != "int8" else set())
    for scheme in ("float32", "float16", "int8", "int16x8", "int8_weights")
}
"""Of int8 XNNPACK takes no fully connected layer so."""


@pytest.mark.parametrize("scheme", SPARSE)
def test_the_outputs_are_the_same_bit_for_bit(scheme, files, x):
    dense, sparse = files[scheme]
    np.testing.assert_array_equal(sparse.predict_quantized(x), dense.predict_quantized(x))


@pytest.mark.parametrize("scheme", SPARSE)
def test_they_are_where_no_delegate_decodes_the_weights(scheme, files, x):
    """As on a chip for which LiteRT has no XNNPACK."""

    def outputs(file):
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=bytes(file), experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        index = interpreter.get_input_details()[0]["index"]
        results = []
        for sample in x[:4]:
            interpreter.set_tensor(index, quantize(sample[None], file.inputs[0]))
            interpreter.invoke()
            results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
        return np.concatenate(results)

    dense, sparse = files[scheme]
    np.testing.assert_array_equal(outputs(sparse), outputs(dense))


@pytest.mark.parametrize("scheme", SPARSE)
def test_the_weights_that_gain_are_encoded_and_the_file_is_smaller(scheme, files):
    dense, sparse = files[scheme]
    found = {weight.layer for weight in sparse.summary().weights if weight.sparse}
    assert {layer for each in found for layer in each.split(" + ")} >= SPARSE[scheme]
    assert len(found) == len(SPARSE[scheme])
    gained = sum(w.bytes for w in dense.summary().weights) - sum(w.bytes for w in sparse.summary().weights)
    assert gained > 0
    # Besides the weights, a file gains tensors and operators.
    assert 0 < len(sparse) - (len(dense) - gained) < 400 * len(found)
    assert len(sparse) < (0.5 if scheme.startswith("float") else 0.8) * len(dense)


@pytest.mark.parametrize("scheme", SPARSE)
def test_what_is_read_back_of_the_sparse_file_is_what_is_in_the_dense_one(scheme, files):
    def rows(file):
        weights = file.summary().weights
        return sorted((w.shape, w.dtype, w.size, w.zeros, w.clusters, w.entropy_bytes) for w in weights)

    dense, sparse = files[scheme]
    assert rows(sparse) == rows(dense)


def test_the_size_that_a_dense_file_promises_is_that_of_the_sparse_one(files):
    dense, sparse = files["float32"]
    promised = dense.summary().sparse_bytes
    assert sparse.summary().sparse_bytes <= len(sparse)
    assert promised <= len(sparse) < promised + 400 * len(SPARSE["float32"])


def test_a_sparse_file_is_verified_like_another(files, pruned, x):
    assert files["float32"][1].verify(pruned, x).passed
    assert files["float32"][1].summary().scheme == "float32"
    assert files["int8"][1].summary().scheme == "int8"


@pytest.mark.parametrize("scheme", ["dynamic", "int4_weights"])
def test_schemes_that_litert_does_not_run_so_are_refused_with_ones_that_it_runs(scheme):
    with pytest.raises(InvalidArgumentError, match=r"sparse=True does not go .*'int8_weights' or 'int8'"):
        Options(scheme=scheme, sparse=True)
    with pytest.raises(InvalidArgumentError, match="sparse=True"):
        tfopt.ExportTFLite(scheme, sparse=True)
    for advice in ("int8_weights", "int8"):
        Options(scheme=advice, sparse=True)


def test_a_model_without_zeros_is_written_as_it_is_with_a_warning(pruned):
    dense = keras.Sequential([keras.Input((8,)), layers.Dense(4)])
    with pytest.warns(UserWarning, match=r"sparse=True changes nothing.*tfopt.prune"):
        file = tfopt.to_tflite(dense, sparse=True)
    assert bytes(file) == bytes(tfopt.to_tflite(dense))


def test_what_another_writer_encoded_along_other_axes_is_read(pruned):
    import tensorflow as tf

    function = tf.function(lambda t: pruned(t, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, 8, 8, 8)))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], pruned)
    dense = inspect_file(converter.convert())
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    sparse = inspect_file(converter.convert())
    assert any(weight.sparse for weight in sparse.weights)
    assert sorted((w.shape, w.zeros, w.clusters) for w in sparse.weights) == sorted(
        (w.shape, w.zeros, w.clusters) for w in dense.weights
    )
