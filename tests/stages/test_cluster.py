"""The stage Cluster."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, InvariantError, StageOrderError
from tfopt.stages.order import check_order


@dataclasses.dataclass
class _Context:
    """Trains a little, as a pipeline does."""

    record: dict = dataclasses.field(default_factory=dict)

    def fit(self, model, *, epochs, callbacks=()):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(32, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 32)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=epochs, callbacks=[*callbacks], verbose=0)


@pytest.mark.slow
def test_it_clusters_while_training_and_keeps_zeros(small_cnn):
    context = _Context()
    pruned = tfopt.prune(small_cnn(), 0.5, rules={"sep": None})
    stage = tfopt.Cluster(5, epochs=1, rules={"sep": None})
    model = stage.apply(pruned, context)
    counts = {each["layer"]: each["weights"] for each in context.record["kernels"]}
    assert {name: count for name, count in counts.items() if not name.startswith("sep")} == {
        "conv1": 5, "hidden": 5, "head": 5,
    }  # fmt: skip
    tfopt.Prune().check(pruned, model)
    stage.check(model, tfopt.graph.copy(model))
    trained = tfopt.graph.copy(model)
    kernel = trained.get_layer("hidden").kernel
    kernel.assign(kernel.numpy() + np.random.default_rng(0).normal(size=kernel.shape))
    with pytest.raises(InvariantError, match="kernel of 'hidden' had 5 different weights and has"):
        stage.check(model, trained)


def test_it_is_data():
    stage = tfopt.Cluster(8, engine_options={"cluster_centroids_init": "LINEAR"})
    config = json.loads(json.dumps(stage.get_config()))
    assert config.pop("class") == "Cluster"
    assert tfopt.Cluster(**config) == stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 1}, "clusters to be a whole number >= 2"),
        ({"epochs": 0}, "epochs to be a whole number >= 1"),
        ({"engine": "keras"}, "does not cluster yet"),
        ({"engine": "torch"}, "'keras', 'tfmot'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.Cluster(**arguments)


@pytest.mark.parametrize("later", [tfopt.Prune(), tfopt.Train(epochs=1)])
def test_what_would_dissolve_the_clusters_may_not_follow(later):
    with pytest.raises(StageOrderError, match="clusters dissolve"):
        check_order([tfopt.Cluster(), later])
