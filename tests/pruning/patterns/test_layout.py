"""Kernels as the runtime reads them: checked on the weights that stand in a TFLite file."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.export.flatbuffer.read import parse
from tfopt.measure.kernels import kernels
from tfopt.pruning.patterns import Layout, layout_of


def _weights_in_file(model, size):
    """Return the float constants of a file that have so many weights and are no vectors."""
    parsed = parse(bytes(tfopt.to_tflite(model, scheme="float32")))
    found = []
    for tensor in parsed.subgraphs[0].tensors:
        data = parsed.buffers[tensor.buffer].data
        if data is not None and tensor.type == 0 and np.prod(tensor.shape) == size and len(tensor.shape) > 1:
            found.append(np.frombuffer(bytes(data), np.float32).reshape(tensor.shape))
    return found


LAYERS = {
    "Dense": ((8,), lambda: L.Dense(6, name="it")),
    "Conv2D": ((6, 6, 8), lambda: L.Conv2D(6, 3, name="it")),
    "Conv1D": ((6, 8), lambda: L.Conv1D(6, 3, name="it")),
    "Conv2DTranspose": ((6, 6, 8), lambda: L.Conv2DTranspose(6, 3, name="it")),
    "DepthwiseConv2D": ((6, 6, 8), lambda: L.DepthwiseConv2D(3, name="it")),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("pattern", ["2:4", "1x4"])
def test_groups_and_blocks_lie_along_the_last_axis_of_the_file(kind, pattern):
    shape, layer = LAYERS[kind]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer()(inputs))
    pruned = tfopt.prune(model, pattern=pattern, rules={"it": 0.5})
    kernel = pruned.get_layer("it").kernel
    (weights,) = _weights_in_file(pruned, int(np.prod(kernel.shape)))
    counts = np.count_nonzero(weights.reshape(-1, 4), axis=1)
    assert set(counts.tolist()) == ({2} if pattern == "2:4" else {0, 4})
    assert np.count_nonzero(weights == 0) == weights.size // 2


@pytest.mark.parametrize(
    ("equation", "output", "shape", "others", "outputs", "inputs"),
    [
        ("abc,cd->abd", (4, 5), (4, 3), (), (1,), (0,)),
        ("abc,cde->abde", (4, 2, 5), (4, 3), (), (1, 2), (0,)),  # the query of an attention layer
        ("abcd,cde->abe", (4, 5), (4, 2, 3), (), (2,), (0, 1)),  # what its heads pass through
        ("abc,bcd->abd", (4, 5), (4, 3), (0,), (2,), (1,)),  # a kernel for each position
        ("...x,xy->...y", (5,), (4, 3), (), (1,), (0,)),
    ],
)
def test_the_equation_of_an_einsum_says_what_it_sums_over(equation, output, shape, others, outputs, inputs):
    layer = L.EinsumDense(equation, output, name="it")
    tensor = keras.Input(shape)
    model = keras.Model(tensor, layer(tensor))
    (kernel,) = kernels(model)
    assert layout_of(kernel) == Layout(others, outputs, inputs, tuple(layer.kernel.shape))


def test_there_and_back_is_the_same():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 2, 5, 4))
    layout = Layout((0, 1), (3,), (2,), kernel.shape)
    matrices = layout.matrices(kernel)
    assert matrices.shape == layout.sizes == (6, 4, 5)
    np.testing.assert_array_equal(matrices[1], kernel[0, 1].T)
    np.testing.assert_array_equal(layout.kernel(matrices), kernel)
