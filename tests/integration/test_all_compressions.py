"""Widths, zeros and clusters through a whole pipeline, read back from each model and from the file."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.clustering.kept import clustered_kernels, different_weights
from tfopt.export.flatbuffer.read import parse
from tfopt.measure.kernels import kernels

CLUSTERS = 8
SPARSITY = 0.5
WIDTHS = {"conv": 16, "deep": 16, "head": 10}
SMALLER = {"conv": 8, "deep": 8, "head": 10}


def _model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(16, 3, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.Conv2D(16, 3, activation="relu", name="deep")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    outputs = keras.layers.Dense(10, activation="softmax", name="head")(x)
    model = keras.Model(inputs, outputs, name="small")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    stages = [
        tfopt.Train(epochs=4),
        tfopt.PruneChannels(0.5, scope="local", epochs=3, teacher="float"),
        tfopt.Prune(SPARSITY, epochs=3, teacher="float"),
        tfopt.Cluster(CLUSTERS, epochs=2, teacher="float"),
        tfopt.QuantizeAware(epochs=2, teacher="float"),
        tfopt.ExportTFLite(),
    ]
    return tfopt.Pipeline(stages).run(_model(), digits, out=tmp_path_factory.mktemp("run"), quiet=True)


def test_each_stage_keeps_what_the_ones_before_have_made(run):
    assert _widths(run.model("train")) == WIDTHS
    assert _widths(run.model("prune_channels")) == SMALLER
    for stage in ("prune", "cluster", "quantize_aware"):
        assert _widths(run.model(stage)) == SMALLER
        found = {kernel.path: kernel for kernel in kernels(run.model(stage))}
        assert set(found) == {"conv", "deep", "head"}
        for kernel in found.values():
            weights = kernel.variable.numpy()
            assert np.mean(weights == 0) == pytest.approx(SPARSITY, abs=1 / weights.size)
            if stage != "prune":
                assert different_weights(kernel) <= CLUSTERS
    assert set(clustered_kernels(run.model("quantize_aware"))) == {"conv", "deep", "head"}


def test_the_file_has_as_many_zeros_and_integers(run):
    file = run.tflite
    sizes = {8 * 9: "conv", 8 * 9 * 8: "deep", 8 * 16 * 10: "head"}
    weights = {sizes[w.size]: w for w in file.summary().weights if w.dtype == "int8" and w.size in sizes}
    assert set(weights) == {"conv", "deep", "head"}
    for name, weight in weights.items():
        assert weight.zeros >= SPARSITY * weight.size - 1, name
    for size, values in _integers(bytes(file)).items():
        # Batch normalization turns the signs of some channels round.
        signed = np.abs(values) if sizes[size] == "conv" else values
        assert len(np.unique(signed)) <= CLUSTERS, sizes[size]


def _widths(model):
    return {kernel.path: kernel.variable.shape[-1] for kernel in kernels(model)}


def _integers(content):
    """Return size -> values of the int8 constants with as many numbers as a kernel."""
    parsed, found = parse(content), {}
    for tensor in parsed.subgraphs[0].tensors:
        data = parsed.buffers[tensor.buffer].data
        if data is not None and len(data) in (72, 576, 1280) and tensor.type == 9:
            found[len(data)] = np.frombuffer(bytes(data), np.int8)
    assert len(found) == 3
    return found


def test_it_is_smaller_and_has_learned(run):
    stages = {stage.name: stage for stage in run.typed.stages}
    names = ("train", "prune_channels", "prune", "cluster", "export_tflite")
    compressed = [stages[name].compressed_bytes for name in names]
    assert compressed == sorted(compressed, reverse=True)
    assert run.metrics["accuracy"] > 0.85
    assert stages["export_tflite"].metrics["accuracy"] > stages["train"].metrics["accuracy"] - 0.05
