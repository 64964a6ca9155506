import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.weights import stored_values
from tfopt.post_training import adaround
from tfopt.post_training.adaround import Problem, solve
from tfopt.post_training.kernels import kernels_of, nearest, value
from tfopt.post_training.patches import MATRIX_LAYERS, as_matrices, from_matrices, rows
from tfopt.post_training.rounding import grids


def _kernels(model):
    return {layer.name: layer for layer in model.layers if type(layer).__name__ in MATRIX_LAYERS}


def _steps(model, bits, per_channel=True):
    return {
        grid.node.path: grid.scale for grid in grids(model, bits, per_channel) if grid.kernel.name == "kernel"
    }


@pytest.fixture(scope="module", params=[8, pytest.param(4, marks=pytest.mark.slow)])
def bits(request):
    return request.param


@pytest.fixture(scope="module")
def rounded(many_kinds, images, bits):
    return adaround(many_kinds, images, bits=bits, iterations=200)


def test_a_layer_is_a_multiplication_of_its_rows(many_kinds, images):
    for name, layer in _kernels(many_kinds).items():
        inputs = keras.Model(many_kinds.input, layer.input)(images)
        kernel = value(layer, kernels_of(layer)[0])
        matrices = as_matrices(layer, kernel)
        np.testing.assert_array_equal(from_matrices(layer, matrices, kernel.shape), kernel)
        outputs = np.moveaxis(rows(layer, inputs) @ matrices, 0, 1).reshape(-1, layer.output.shape[-1])
        outputs = outputs if layer.bias is None else outputs + np.asarray(layer.bias)
        expected = np.asarray(keras.Model(many_kinds.input, layer.output)(images))
        np.testing.assert_allclose(
            np.asarray(layer.activation(outputs)).reshape(expected.shape), expected, atol=1e-5, err_msg=name
        )


def test_every_weight_is_one_of_its_two_neighbours_on_the_grid(many_kinds, rounded, bits):
    steps = _steps(many_kinds, bits)
    moved = 0
    for name in _kernels(many_kinds):
        before, after = (
            np.asarray(each.get_layer(name).kernel) / steps[name] for each in (many_kinds, rounded)
        )
        np.testing.assert_allclose(after, np.round(after), atol=1e-3)
        assert np.max(np.abs(after - before)) < 1 + 1e-3
        moved += np.sum(np.round(after) != np.round(before))
    assert moved > 20
    for name in ("transposed", "separable"):
        for old, new in zip(many_kinds.get_layer(name).weights, rounded.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(old, new)


def test_the_error_of_each_layer_is_at_most_that_of_rounding_to_nearest(many_kinds, images, bits):
    # Layer by layer on its own, so that both meet the same inputs.
    steps = _steps(many_kinds, bits)
    less = 0
    for name, layer in _kernels(many_kinds).items():
        inputs = keras.Model(many_kinds.input, layer.input)(images)
        alone_in = keras.Input(inputs.shape[1:])
        copy = type(layer).from_config(layer.get_config() | {"activation": "linear"})
        alone = keras.Model(alone_in, copy(alone_in))
        copy.set_weights(layer.get_weights())
        exact = np.asarray(alone(inputs))
        better = adaround(alone, np.asarray(inputs), bits=bits, iterations=150)
        copy.kernel.assign(nearest(np.asarray(layer.kernel), steps[name]))
        plain, found = (np.mean((np.asarray(each(inputs)) - exact) ** 2) for each in (alone, better))
        assert found <= plain * (1 + 1e-4), name
        less += found < 0.95 * plain
    assert less >= 4


def test_correlated_inputs_leave_much_to_gain():
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(2000, 16)) @ rng.normal(size=(16, 64)), 0).astype(np.float32)
    weights = rng.normal(size=(1, 64, 8)).astype(np.float32)
    step = np.broadcast_to(np.abs(weights).max(axis=1, keepdims=True) / 7, weights.shape)
    zero = np.zeros_like(weights)
    problem = Problem(weights, step, 7, (x.T @ x)[None] / len(x), zero, zero[:, 0])
    plain = problem.errors(nearest(weights, step))
    assert np.all(problem.errors(solve(problem, 300)) < 0.7 * plain)


@pytest.mark.parametrize("per_channel", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_file_holds_the_rounded_weights_bit_by_bit(per_channel, many_kinds, rounded, images, bits):
    model = (
        rounded if per_channel else adaround(many_kinds, images, bits=bits, per_channel=False, iterations=20)
    )
    steps = _steps(model, bits, per_channel)
    schemes = {8: ("int8", "int8_weights"), 4: ("int4", "int4_weights")}[bits]
    for scheme in schemes:
        file = tfopt.to_tflite(model, scheme, images, per_channel=per_channel, block_size=None)
        stored = _integers(bytes(file))
        for name, layer in _kernels(model).items():
            kernel = np.asarray(layer.kernel)
            integers = np.abs(np.round(kernel / steps[name])).astype(int)
            order = (-2, -1) if name.startswith("depthwise") else (-1,)
            last = np.moveaxis(integers, -1, 0) if order == (-1,) else integers
            # A batch normalization may turn the sign of a channel, the order of axes is TFLite's.
            assert any(np.array_equal(last.ravel(), np.abs(each).ravel()) for each in stored), (scheme, name)


def _integers(content):
    model = parse(content)
    part = model.subgraphs[0]
    found = []
    for tensor in part.tensors:
        data = model.buffers[tensor.buffer].data
        if type_name(tensor) in ("int8", "int4") and data is not None and len(data):
            found.append(stored_values(tensor, bytes(data)).ravel())
    return found


@pytest.mark.slow
def test_the_file_is_closer_to_the_model(many_kinds, images):
    snr = [
        tfopt.to_tflite(many_kinds, "int4_weights", images, corrections=corrections, block_size=None)
        .verify(many_kinds, images, classification=False)
        .snr_db
        for corrections in ([], ["adaround", "bias_correction"])
    ]
    assert snr[1] > snr[0] + 3


@pytest.mark.slow
def test_the_same_data_gives_the_same_weights(many_kinds, images, rounded, bits):
    again = adaround(many_kinds, images, bits=bits, iterations=200)
    assert all(map(np.array_equal, again.get_weights(), rounded.get_weights()))


def test_bad_arguments_are_refused(many_kinds, images):
    with pytest.raises(InvalidArgumentError, match="iterations to be a whole number >= 1"):
        adaround(many_kinds, images, iterations=0)
