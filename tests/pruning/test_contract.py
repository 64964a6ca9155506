"""Layers by patterns: the sparsity is what was asked, training holds the zeros, a file keeps the masks."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tests.at_length import some
from tests.pruning.everywhere import LOST_IN_FILES, MODELS, _sequence
from tfopt.pruning import keep_zeros
from tfopt.pruning.masks import masked
from tfopt.pruning.patterns import layout_of, pattern_of


def _volume(layer):
    return _sequence(layer, (4, 4, 4, 6))


def _image(layer):
    return _sequence(layer, (6, 6, 6))


LAYERS = {
    **{name: build for name, (build, _) in MODELS.items()},
    "Dense": _sequence(L.Dense(6, name="it")),
    "EinsumDense": _sequence(L.EinsumDense("abc,cd->abd", (5, 6), name="it")),
    "Conv1D": _sequence(L.Conv1D(6, 2, name="it")),
    "Conv2D": _image(L.Conv2D(6, 2, name="it")),
    "grouped Conv2D": _image(L.Conv2D(6, 2, groups=2, name="it")),
    "Conv3D": _volume(L.Conv3D(4, 2, name="it")),
    "Conv1DTranspose": _sequence(L.Conv1DTranspose(6, 2, name="it")),
    "Conv2DTranspose": _image(L.Conv2DTranspose(6, 2, name="it")),
    "Conv3DTranspose": _volume(L.Conv3DTranspose(3, 2, name="it")),
    "DepthwiseConv1D": _sequence(L.DepthwiseConv1D(2, name="it")),
    "DepthwiseConv2D": _image(L.DepthwiseConv2D(2, name="it")),
    "SeparableConv1D": _sequence(L.SeparableConv1D(6, 2, name="it")),
    "SeparableConv2D": _image(L.SeparableConv2D(6, 2, name="it")),
    "ConvLSTM2D": _sequence(lambda x: L.ConvLSTM2D(3, 2, name="it")(x), (2, 4, 4, 4)),
    "Embedding": lambda: _words(),
}
PATTERNS = {"unstructured": 0.5, "2:4": 0.5, "1:3": 2 / 3, "1x4": 0.5, "4x1": 0.5, "2x2": 0.5}
OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=0.01),
}


def _words():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,), dtype="int32")
    x = L.Flatten()(L.Embedding(12, 8, name="it")(inputs))
    return keras.Model(inputs, L.Dense(3, name="head")(x))


ROWS = [
    f"{layer} / {pattern} / {list(OPTIMIZERS)[(i + j) % 2]}"
    for i, layer in enumerate(LAYERS)
    for j, pattern in enumerate(PATTERNS)
]
"""Each layer with each pattern, by turns with one of the optimizers."""
QUICK = {
    "Dense / 2:4",
    "Conv2DTranspose / 1x4",
    "Conv3D / 4x1",
    "DepthwiseConv2D / 2:4",
    "Embedding / 1x4",
    "attention / 2:4",
    "own layer / 1:3",
}


def _check(model, pattern, sparsity):
    """Each kernel holds the pattern, and as many zeros as it can have of what was asked."""
    entries = masked(model)
    assert entries
    for entry in entries:
        mask, layout = entry.mask.value, layout_of(entry.kernel)
        assert not entry.weights[~mask].any()
        matrices = layout.matrices(mask)
        if ":" in pattern:
            n, m = map(int, pattern.split(":"))
            for start in range(0, matrices.shape[2], m):
                group = matrices[:, :, start : start + m]
                assert (group.sum(axis=2) == min(n, group.shape[2])).all()
        elif "x" in pattern:
            rows, columns = map(int, pattern.split("x"))
            blocks = [
                matrices[each, row : row + rows, column : column + columns]
                for each in range(matrices.shape[0])
                for row in range(0, matrices.shape[1], rows)
                for column in range(0, matrices.shape[2], columns)
            ]
            assert all(block.all() or not block.any() for block in blocks)
            dead = sum(not block.any() for block in blocks)
            assert abs(dead - sparsity * len(blocks)) <= 0.5 or dead == len(blocks) - 1
        else:
            assert abs(np.count_nonzero(~mask) - sparsity * mask.size) <= 0.5


@pytest.mark.parametrize("row", some(ROWS, [row for row in ROWS if row.rpartition(" / ")[0] in QUICK]))
def test_layer_pattern_optimizer(row, tmp_path):
    layer, pattern, optimizer = row.split(" / ")
    model, sparsity = LAYERS[layer](), PATTERNS[pattern]
    rules = dict.fromkeys(tfopt.pruning.left_out(model), sparsity)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A .keras file of this model")
        pruned = tfopt.prune(model, sparsity, pattern=pattern, rules=rules)
    _check(pruned, pattern_of(pattern).name, sparsity)
    masks = [entry.mask.value for entry in masked(pruned)]
    pruned.compile(OPTIMIZERS[optimizer](), "mse")
    x, y = _data(pruned)
    pruned.fit(x, y, batch_size=8, epochs=2, verbose=0)
    _check(pruned, pattern, sparsity)
    pruned.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    if layer in LOST_IN_FILES:
        keep_zeros(loaded, [entry.kernel.path for entry in masked(pruned)])
    for mask, entry in zip(masks, masked(loaded), strict=True):
        np.testing.assert_array_equal(mask, entry.mask.value)
    loaded.compile(OPTIMIZERS[optimizer](), "mse")
    before = loaded.get_weights()
    loaded.fit(x, y, batch_size=8, verbose=0)
    _check(loaded, pattern, sparsity)
    assert not all(map(np.array_equal, before, loaded.get_weights()))


def _data(model, samples=16):
    rng = np.random.default_rng(0)
    shape = (samples, *model.inputs[0].shape[1:])
    words = "int" in str(model.inputs[0].dtype)
    x = rng.integers(0, 12, shape) if words else rng.normal(size=shape).astype("float32")
    return x, rng.normal(size=(samples, 3)).astype("float32")


def test_a_kernel_with_fewer_inputs_than_a_group_keeps_is_left_whole():
    inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, name="first")(inputs)
    model = keras.Model(inputs, L.Conv2D(4, 3, name="second")(x))
    pruned = tfopt.prune(model, pattern="2:4")
    assert [entry.kernel.path for entry in masked(pruned)] == ["second"]
    alone = keras.Model(inputs, L.Conv2D(4, 3, name="first")(inputs))
    with pytest.raises(tfopt.errors.InvalidArgumentError, match="'first' have too few inputs"):
        tfopt.prune(alone, pattern="2:4")
    assert tfopt.measure.sparsity(tfopt.prune(alone, 0.5, pattern="4x1")) == pytest.approx(0.5, abs=0.1)


def test_rules_give_patterns_of_their_own():
    inputs = keras.Input((8,))
    x = L.Dense(8, name="single")(inputs)
    x = L.Dense(8, name="pairs")(x)
    model = keras.Model(inputs, L.Dense(8, name="blocks")(x))
    pruned = tfopt.prune(
        model, 0.75, rules={"pairs": {"pattern": "2:4"}, "blocks": {"pattern": "1x4", "sparsity": 0.5}}
    )
    single, pairs, blocks = (entry for entry in masked(pruned))
    assert np.mean(single.mask.value) == 0.25
    assert (pairs.mask.value.T.reshape(-1, 4).sum(axis=1) == 2).all()
    assert sorted(blocks.mask.value.T.reshape(-1, 4).sum(axis=1).tolist()) == [0] * 8 + [4] * 8


def test_a_quantization_aware_model_is_refused_and_the_advice_works():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, L.Dense(8, name="it")(inputs))
    with pytest.raises(
        tfopt.errors.InvalidArgumentError, match=r"quantization-aware already.*quantize_aware, which keeps"
    ):
        tfopt.prune(tfopt.quantize_aware(model), 0.5)
    quantized = tfopt.quantize_aware(tfopt.prune(model, pattern="2:4"))
    (entry,) = masked(quantized)
    assert (entry.mask.value.T.reshape(-1, 4).sum(axis=1) == 2).all()
