"""The measures of models and files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.data import from_arrays
from tfopt.pipeline.results import stage_results
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.training.compilation import Compilation
from tfopt.run.stage_record import TensorRecord

X = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
DATA = from_arrays(X, (X[:, 0] > 0).astype(np.int32), class_names=["low", "high"])


def config(compilation):
    return RunConfig(
        caller="Pipeline",
        name="test",
        data=DATA,
        stages=[tfopt.Train()],
        compilation=compilation,
        callbacks=(),
        batch_size=16,
        seed=0,
        strategy=tf.distribute.get_strategy(),
    )


CLASSES = config(Compilation.of("sparse_categorical_crossentropy", ["accuracy"]))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,), name="in"), keras.layers.Dense(2, "softmax", name="head")]
    made = keras.Sequential(layers)
    made.set_weights([np.array([[-9.0, 9.0], [0, 0], [0, 0], [0, 0]]), np.zeros(2)])
    return made


@pytest.fixture(scope="module")
def file(model):
    return tfopt.to_tflite(model, "float32")


def test_a_model_and_its_file_are_equally_good(model, file):
    found, of_file = stage_results.of_model(model, CLASSES), stage_results.of_file(file, model, CLASSES)
    assert found.metrics["accuracy"] == found.validation["accuracy"] == 1.0
    assert [row.name for row in found.classes] == ["low", "high"]
    assert found.at_chance is False
    assert of_file.metrics == pytest.approx(found.metrics, abs=1e-6)
    assert of_file.validation == pytest.approx(found.validation, abs=1e-6)
    assert of_file.classes == found.classes


def test_nothing_is_measured_without_a_loss(model, file):
    nothing = stage_results.Quality(metrics={}, validation={})
    without = config(Compilation({}))
    assert stage_results.of_model(model, without) == stage_results.of_file(file, model, without) == nothing


def test_the_cost_of_the_first_file_is_the_baseline(file):
    cost = stage_results.of_bytes(bytes(file), bytes(file))
    assert cost.bytes == len(file)
    assert cost.compressed_bytes < cost.bytes
    summary = file.summary()
    assert cost.weights.sparsity == summary.sparsity == 0.75
    assert cost.weights.clusters == 3
    assert cost.weights.sparse_bytes == summary.sparse_bytes <= cost.bytes
    assert cost.weights.entropy_bytes == summary.entropy_bytes < cost.bytes
    assert cost.latency.ratio == 1.0
    assert cost.latency.seconds == cost.latency.baseline_seconds > 0


def test_the_contract_of_a_file(file):
    contract = stage_results.contract(file, DATA)
    tensor = TensorRecord(name="in", shape=tuple(file.inputs[0].shape), dtype="float32")
    assert contract.inputs == (tensor,)
    assert [each.name for each in contract.outputs] == ["head"]
    assert contract.preprocessing == DATA.normalization
    assert contract.class_names == ("low", "high")
