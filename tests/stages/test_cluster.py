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
    seed: int = 0
    scheme: str = "float32"

    def fit(self, model, *, epochs, callbacks=()):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(32, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 32)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=epochs, callbacks=[*callbacks], verbose=0)

    @property
    def data(self):
        x = np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype("float32")
        return tfopt.data.from_arrays(x, np.arange(32) % 10)


@pytest.mark.parametrize("engine", ["keras", pytest.param("tfmot", marks=pytest.mark.slow)])
def test_it_clusters_while_training_and_keeps_zeros(small_cnn, engine):
    context = _Context()
    pruned = tfopt.prune(small_cnn(), 0.5, rules={"sep": None})
    stage = tfopt.Cluster(5, epochs=1, rules={"sep": None}, engine=engine)
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


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_budget_in_what_the_pipeline_ends_with_is_kept_and_recorded(small_cnn, scheme):
    from tfopt.clustering.budget import compressed_weights

    model, context = small_cnn(8), _Context(scheme=scheme)
    whole = compressed_weights(model, scheme)
    made = tfopt.Cluster(bytes=0.6, epochs=1).apply(model, context)
    assert context.record["weights_bytes"] == compressed_weights(made, scheme) <= 0.6 * whole


def test_the_gradients_are_those_on_the_training_data(small_cnn):
    made = [
        tfopt.Cluster(5, epochs=1, init=init).apply(small_cnn(), _Context()).get_layer("hidden").kernel
        for init in ("kmeans++", "gradient")
    ]
    assert [len(np.unique(kernel)) for kernel in made] == [5, 5]
    assert not np.array_equal(*made)


def test_it_is_data():
    for stage in (
        tfopt.Cluster(8, engine="tfmot", engine_options={"cluster_centroids_init": "LINEAR"}),
        tfopt.Cluster(bytes=0.3, scheme="int8", init="density", teacher={"model": "float", "temperature": 2}),
    ):
        config = json.loads(json.dumps(stage.get_config()))
        assert config.pop("class") == "Cluster"
        assert tfopt.Cluster(**config) == stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 1}, "clusters to be a whole number >= 2"),
        ({"epochs": 0}, "epochs to be a whole number >= 1"),
        ({"keep_zeros": "yes"}, "keep_zeros to be True or False"),
        ({"init": "best"}, "init to be one of"),
        ({"bytes": 0.5, "clusters": 4}, "not both"),
        ({"engine_options": {"cluster_per_channel": True}}, 'engine_options are for engine="tfmot"'),
        ({"engine": "torch"}, "'keras', 'tfmot'"),
        ({"teacher": 3}, "teacher must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.Cluster(**arguments)


@pytest.mark.parametrize(
    ("stage", "later"),
    [
        (tfopt.Cluster(), tfopt.Prune()),
        (tfopt.Cluster(engine="tfmot"), tfopt.Train(epochs=1)),
        (tfopt.Cluster(engine="tfmot"), tfopt.Distill(epochs=1)),
    ],
)
def test_what_would_dissolve_the_clusters_may_not_follow(stage, later):
    with pytest.raises(StageOrderError, match="clusters dissolve"):
        check_order([stage, later])


def test_training_may_follow_where_clusters_are_held():
    check_order([tfopt.Cluster(), tfopt.Train(epochs=1), tfopt.Distill(epochs=1)])
