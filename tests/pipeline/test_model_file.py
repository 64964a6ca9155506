"""A pruned layer of one's own, whose config leaves its masks out, keeps its zeros through a whole run."""

import json
import warnings

import keras
import numpy as np
import pytest

import tfopt
from tests.pruning.everywhere import MODELS, Products
from tfopt.clustering.kept import clustered_kernels
from tfopt.measure.kernels import prunable
from tfopt.pipeline import model_file
from tfopt.pruning.masks import masked
from tfopt.stages import Prune, QuantizeAware, Train


def _model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 6), name="in")
    x = keras.layers.Flatten()(Products(name="own")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head")(x))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _data():
    labels = np.arange(120) % 3
    x = np.random.default_rng(0).normal(size=(120, 5, 6)) + np.eye(3, 6)[labels][:, None]
    return tfopt.data.from_arrays(x.astype("float32"), labels, name="steps")


class _Killed(BaseException):
    """As if the process had died."""


@pytest.mark.slow
def test_stages_after_prune_train_with_its_zeros_also_when_they_are_resumed(tmp_path, monkeypatch):
    pipeline = tfopt.Pipeline([Prune(0.5, epochs=2), QuantizeAware("int8", epochs=1)])

    def run(out):
        return pipeline.run(_model(), _data(), out=tmp_path / out, batch_size=16, quiet=True)

    whole = run("whole")
    assert [entry["sparsity"] for entry in whole.record["stages"]] == [0, 0.5, 0.5]
    assert whole.record["stages"][1]["left_out"]["own/table"].startswith("an embedding")
    for stage in (1, 2):
        assert tfopt.measure.sparsity(whole.model(stage)) == 0.5
    loaded = whole.model(1)
    assert [entry.kernel.path for entry in masked(loaded)] == ["own/matrix", "own/first", "head"]

    apply = QuantizeAware.apply
    monkeypatch.setattr(QuantizeAware, "apply", lambda *_: (_ for _ in ()).throw(_Killed))
    with pytest.raises(_Killed):
        run("killed")
    monkeypatch.setattr(QuantizeAware, "apply", apply)
    again = run("killed")
    for a, b in zip(whole.model(2).get_weights(), again.model(2).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not list(again.path.rglob(".*masks*"))


def test_a_stage_after_prune_that_trains_zeros_away_is_an_error(tmp_path):
    class Forgetful(Train):
        def apply(self, model, context):
            for entry in masked(model):
                entry.kernel.variable.constraint = None
            return super().apply(model, context)

    with pytest.raises(tfopt.errors.InvariantError, match=r"'own/matrix' is gone.*keep_zeros"):
        tfopt.Pipeline([Prune(0.5, epochs=1), Forgetful(epochs=1)]).run(
            _model(), _data(), out=tmp_path, batch_size=16, quiet=True
        )


def test_masks_beside_a_model_follow_it(tmp_path):
    path = tmp_path / "model.keras"
    model_file.save(_model(), path)
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]
    with pytest.warns(UserWarning, match="keep_zeros"):
        pruned = tfopt.prune(_model(), 0.5)
    model_file.save(pruned, path)
    beside = json.loads((tmp_path / "model.masks.json").read_text())
    paths = [kernel.path for kernel in prunable(pruned)]
    assert [paths[place] for place, _ in beside] == ["own/matrix", "own/first"]
    for a, b in zip(masked(pruned), masked(model_file.load(path)), strict=True):
        np.testing.assert_array_equal(a.mask.value, b.mask.value)
    model_file.save(_model(), path)
    assert masked(model_file.load(path)) == []
    model_file.delete(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("assignments", ["fixed", "nearest"])
def test_clusters_of_own_layers_come_back(assignments, tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A .keras file of this model")
        model = tfopt.cluster(MODELS["own layer"][0](), 4, assignments=assignments)
    model_file.save(model, tmp_path / "model.keras")
    loaded = model_file.load(tmp_path / "model.keras")
    found = clustered_kernels(loaded)
    assert set(found) == set(clustered_kernels(model)) == {"own/matrix", "own/first", "head"}
    for path, kept in clustered_kernels(model).items():
        np.testing.assert_array_equal(found[path].current(), kept.current())
