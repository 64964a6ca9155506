"""The integers of the weights in the file: those that the model was trained with."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers as L

import tfopt
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export.flatbuffer import integer_constants
from tfopt.export.flatbuffer.fields import text
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.integer_constants import packed
from tfopt.export.flatbuffer.read import parse
from tfopt.export.trained_weights import write_weights
from tfopt.quantization import Scheme, WeightQuantizer, calibrate

X = np.random.default_rng(0).normal(size=(128, 6, 6, 3)).astype("float32")
BITS = {schema.TensorType.INT8: 8, schema.TensorType.INT4: 4, schema.TensorType.INT2: 2}


def _model():
    """One layer of each kind that LiteRT has weights of, with a scale of either sign behind one."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3), name="image")
    x = L.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = L.ReLU()(L.BatchNormalization(name="norm")(x))
    x = L.DepthwiseConv2D(3, bias_initializer="normal", name="depthwise")(x)
    x = L.Conv2DTranspose(4, 2, strides=2, name="up")(x)
    x = L.Dense(64, activation="relu", bias_initializer="normal", name="hidden")(L.Flatten()(x))
    model = keras.Model(inputs, L.Dense(5, name="head")(x))
    norm = model.get_layer("norm")
    rng = np.random.default_rng(0)
    norm.set_weights([rng.normal(size=8), rng.normal(size=8), rng.normal(size=8), rng.uniform(0.5, 2, 8)])
    return model


def _tensors(file):
    """Return layer -> (bits, integers, scales) of the integer weights of a file."""
    model = parse(bytes(file))
    found = {}
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        bits = BITS.get(tensor.type)
        if data is None or len(data) == 0 or bits is None or len(tensor.shape) < 2:
            continue
        data = np.asarray(data, np.uint8)
        unsigned = np.stack([data >> shift & (2**bits - 1) for shift in range(0, 8, bits)], axis=-1)
        values = unsigned.ravel()[: np.prod(tensor.shape)].astype(int)
        values = np.where(values >= 2 ** (bits - 1), values - 2**bits, values).reshape(tensor.shape)
        layer = text(tensor.name).split(":")[0]
        found[layer] = bits, values, np.asarray(tensor.quantization.scale)
    return found


SCHEMES = {
    "int8": "int8",
    "int4": "int4",
    "ternary": "ternary",
    "int8_weights": "int8_weights",
    "int4_weights": Scheme(weight_bits=4, activation_bits=None),
    "per_tensor": Scheme(per_channel=False),
    "lsq": Scheme(weight_bits=3, weight_range="lsq"),
    "binary_weights": Scheme(weight_bits=1, weight_range="mean", activation_bits=None),
}


@pytest.fixture(scope="module")
def made():
    """Name -> (model, file)."""

    def both(scheme):
        model = tfopt.quantize_aware(_model(), scheme)
        calibrate(model, X)
        return model, tfopt.to_tflite(model)

    return {name: both(scheme) for name, scheme in SCHEMES.items()}


@pytest.mark.parametrize("name", SCHEMES)
def test_the_file_does_what_the_model_does(made, name):
    model, file = made[name]
    output = file.verify(model, X).outputs[0]
    if "weights" in name:
        assert output.relative_error < 1e-4
    else:
        # LiteRT's own convolutions round twice; it has no others for 4 bits.
        exact = name in ("int8", "per_tensor")
        assert output.max_lsb <= 3
        assert output.mean_lsb <= (0.1 if exact else 0.9)
        assert not file.summary().float_operators


@pytest.mark.parametrize("name", ["int4", "ternary"])
def test_with_8_bits_for_the_same_integers_the_file_is_exact(made, name, monkeypatch):
    """XNNPACK, which rounds once, takes convolutions of 8 bits."""
    versions = {operator: {8: 1} for operator in integer_constants._VERSIONS}
    monkeypatch.setattr(integer_constants, "_VERSIONS", versions)
    model, _ = made[name]
    file = tfopt.to_tflite(model)
    assert {bits for bits, *_ in _tensors(file).values()} == {8}
    output = file.verify(model, X).outputs[0]
    assert output.max_lsb <= 3
    assert output.mean_lsb <= 0.1


@pytest.mark.parametrize("name", sorted({*SCHEMES} - {"int8"}))
def test_the_file_holds_the_integers_of_the_model(made, name):
    model, file = made[name]
    found = _tensors(file)
    for layer in model.layers:
        if not isinstance(layer, WeightQuantizer):
            continue
        _, values, scales = found[layer.name]
        codes = layer.quantized_weights().values
        rows = (
            values.reshape(-1, codes.shape[1])
            if layer.name == "depthwise"
            else values.reshape(len(values), -1).T
        )
        steps = np.abs(rows).max(axis=0) / np.abs(codes).max(axis=0)
        signs = np.sign((rows * codes).sum(axis=0))
        assert (signs > 0).all() or layer.name == "conv", "only a normalization turns signs"
        np.testing.assert_array_equal(rows, codes * signs * steps)
        if layer.name != "conv":
            quantized = np.abs(layer.quantized().numpy()).max()
            np.testing.assert_allclose((np.abs(rows) * scales).max(), quantized, rtol=1e-5)
            assert len(scales) == (codes.shape[1] if layer.scheme.per_channel else 1)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("int4", {"conv": 4, "depthwise": 4, "up": 8, "hidden": 4, "head": 4}),
        ("ternary", {"conv": 4, "depthwise": 4, "up": 8, "hidden": 2, "head": 2}),
        ("int4_weights", dict.fromkeys(("conv", "depthwise", "up", "hidden", "head"), 4)),
        ("binary_weights", dict.fromkeys(("conv", "depthwise", "up", "hidden", "head"), 2)),
    ],
)
def test_weights_have_the_fewest_bits_that_litert_reads(made, name, bits):
    assert {layer: held[0] for layer, held in _tensors(made[name][1]).items()} == bits


def test_fewer_bits_are_fewer_bytes(made):
    sizes = {name: len(file) for name, (_, file) in made.items()}
    weights = sum(
        layer.quantized_weights().values.size
        for layer in made["int8"][0].layers
        if hasattr(layer, "quantized_weights")
    )
    assert sizes["int8"] - sizes["int4"] > 0.45 * weights
    assert sizes["int4"] - sizes["ternary"] > 0.2 * weights
    assert sizes["int8_weights"] - sizes["int4_weights"] > 0.45 * weights


def test_layers_of_several_schemes_in_one_file():
    rules = {"hidden/relu": None, "hidden": "int4_weights", "head": None, "conv": "int8"}
    model = tfopt.quantize_aware(_model(), "int4", rules=rules)
    calibrate(model, X)
    file = tfopt.to_tflite(model)
    assert {layer: held[0] for layer, held in _tensors(file).items()} == {
        "conv": 8, "depthwise": 4, "up": 8, "hidden": 4,
    }  # fmt: skip
    assert {each.layer for each in file.summary().float_operators} >= {"head"}
    assert file.verify(model, X).outputs[0].snr_db > 25


def test_zeros_and_clusters_are_in_the_file():
    model = tfopt.prune(_model(), 0.5, rules={"depthwise": 0.5})
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            levels = np.float32([-0.4, -0.1, 0.2, 0.3])
            nearest = levels[np.abs(kernel[..., None] - levels).argmin(axis=-1)]
            layer.kernel.assign(np.where(kernel == 0, 0, nearest))
    quantized = tfopt.quantize_aware(model, preserve=("sparsity", "clusters"))
    calibrate(quantized, X)
    quantized.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    quantized.fit(X, np.arange(128) % 5, batch_size=64, verbose=0)
    found = _tensors(tfopt.to_tflite(quantized))
    assert set(found) == {"conv", "depthwise", "up", "hidden", "head"}
    for layer, (_, values, _) in found.items():
        rows = values.reshape(-1)
        signed = np.abs(rows) if layer == "conv" else rows
        assert len(np.unique(signed)) <= 5
        assert np.mean(values == 0) >= 0.5 - 1 / values.size


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic"])
def test_it_can_be_written_without_the_rounding_of_activations(made, scheme):
    model, own = made["int4"]
    file = tfopt.to_tflite(model, scheme)
    assert file.summary().scheme == scheme
    np.testing.assert_allclose(file.predict(X), own.predict(X), atol=0.3 * np.abs(own.predict(X)).max())


def test_another_scheme_than_the_trained_one_is_refused(made):
    assert bytes(tfopt.to_tflite(made["int4"][0], "int4")) == bytes(made["int4"][1])
    with pytest.raises(InvalidArgumentError, match=r"trained for 'int4', and cannot be written as 'int8'"):
        tfopt.to_tflite(made["int4"][0], "int8")
    with pytest.raises(InvalidArgumentError, match="scheme without a name"):
        tfopt.to_tflite(made["lsq"][0], "ternary")
    floats = tfopt.quantize_aware(_model(), Scheme(weight_bits=None))
    calibrate(floats, X)
    with pytest.raises(InvalidArgumentError, match="'conv' were trained in float"):
        tfopt.to_tflite(floats)


def test_weights_that_the_converter_changed_are_not_passed_over(made):
    model, file = made["int4_weights"]
    codes = {"elsewhere": model.get_layer("hidden").quantized_weights()}
    with pytest.raises(ConversionError, match=r"elsewhere.*rules=\{'elsewhere': 'int8'\}"):
        write_weights.write_quantized_weights(ParsedFile(bytes(file)), codes)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("size", [1, 7, 16])
def test_several_integers_in_a_byte(bits, size):
    low = -(2 ** (bits - 1))
    values = np.random.default_rng(size).integers(low, -low, size).astype("int8")
    data = packed(values, bits)
    assert len(data) == -(-size * bits // 8)
    whole = int.from_bytes(data.tobytes(), "little")
    unsigned = [whole >> bits * place & (2**bits - 1) for place in range(size)]
    assert unsigned == [value % 2**bits for value in values.tolist()]
