"""Kernels in other layers: in attention, recurrent layers, wrappers, nested models, layers of one's own."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tests.at_length import some
from tests.pruning.everywhere import LOST_IN_FILES, MODELS, Products, Unwritten, data
from tfopt.callbacks import PruningSchedule
from tfopt.errors import InvalidArgumentError
from tfopt.pruning import Cubic, keep_zeros, left_out
from tfopt.pruning.masks import masked, put_masks, unsaved_masks


def _pruned(model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A .keras file of this model")
        return tfopt.prune(model, *args, **kwargs)


def _named(model):
    """Return the variables whose names say that they are kernels, without tfopt's own notion of one."""
    return [v for v in model.trainable_variables if "kernel" in v.path]


def _zeros(arrays):
    return sum(np.count_nonzero(a == 0) for a in arrays) / sum(a.size for a in arrays)


def _fit(model, epochs=2, callbacks=()):
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    x, y = data(model)
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=list(callbacks))


def _same_masks(one, other):
    for a, b in zip(masked(one), masked(other), strict=True):
        assert a.kernel.path == b.kernel.path
        np.testing.assert_array_equal(a.mask.value, b.mask.value)


# Of layers with kernels of one form, one.
@pytest.mark.parametrize("name", some(MODELS, ["own layer", "attention", "LSTM", "ConvLSTM1D", "nested"]))
def test_every_kernel_is_pruned_measured_and_stays_so_in_training_and_in_a_file(name, tmp_path):
    build, paths = MODELS[name]
    model = _pruned(build(), 0.5)
    table = tfopt.measure.layer_table(model)
    assert [kernel.layer for kernel in table] == [*paths, "head"]
    assert all(abs(kernel.zeros - kernel.weights / 2) <= 0.5 for kernel in table)
    assert _zeros([v.numpy() for v in _named(model)]) == pytest.approx(0.5, abs=0.02)
    _fit(model)
    assert tfopt.measure.layer_table(model) == table
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (len(masked(loaded)) == len(paths) + 1) == (name not in LOST_IN_FILES)
    assert sorted(keep_zeros(loaded)) == sorted([*paths, "head"])
    _same_masks(model, loaded)
    before = loaded.get_weights()
    _fit(loaded)
    assert tfopt.measure.layer_table(loaded) == table
    assert not all(map(np.array_equal, before, loaded.get_weights()))


@pytest.mark.parametrize("name", ["own layer", "attention", "LSTM"])
def test_a_schedule_drives_them_and_averages_keep_them(name):
    build, paths = MODELS[name]
    model = _pruned(build(), 0.5, schedule=Cubic(frequency=1), scope="global", rules={paths[0]: 0.25})
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), "mse")
    x, y = data(model)
    history = model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[PruningSchedule()]).history
    ruled, *others = tfopt.measure.layer_table(model)
    assert ruled.sparsity == pytest.approx(0.25, abs=0.02)
    weights = sum(kernel.weights for kernel in others)
    assert sum(kernel.zeros for kernel in others) == int(weights / 2 + 0.5)
    assert history["sparsity"][-1] == pytest.approx(tfopt.measure.sparsity(model), abs=0.01)
    _same_masks(model, _pruned(model, 0.0))


def test_a_mask_is_the_copys_own():
    """Also where the model that is pruned again came from a file, with one constraint for all kernels."""
    model = _pruned(MODELS["attention"][0](), 0.25)
    more = _pruned(model, 0.75)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.25, abs=0.01)
    assert tfopt.measure.sparsity(more) == pytest.approx(0.75, abs=0.01)
    for entry in masked(model):
        assert entry.mask.value.mean() == pytest.approx(0.75, abs=0.01)


def test_attention_keeps_the_users_constraint_for_the_kernels_that_no_mask_has(tmp_path):
    inputs = keras.Input((5, 6))
    layer = L.MultiHeadAttention(2, 4, kernel_constraint=keras.constraints.MaxNorm(0.01), name="mha")
    model = tfopt.prune(keras.Model(inputs, layer(inputs, inputs)), 0.5, rules={"mha/key": None})
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.compile("sgd", "mse")
    loaded.fit(np.ones((4, 5, 6), "float32"), np.ones((4, 5, 6), "float32"), verbose=0)
    kernels = {v.path.split("/")[-2]: v.numpy() for v in _named(loaded)}
    assert {name: np.any(kernel == 0) for name, kernel in kernels.items()} == {
        "query": True,
        "key": False,
        "value": True,
        "attention_output": True,
    }
    assert all(np.linalg.norm(kernel, axis=0).max() < 0.011 for kernel in kernels.values())


def test_rules_reach_into_layers():
    model = _pruned(
        MODELS["own layer"][0](), 0.5, rules={"own/matrix": None, "own/positions": 0.75, "own": 0.25}
    )
    shares = {entry.kernel.path: 1 - entry.mask.value.mean() for entry in masked(model)}
    assert shares == {
        "own/positions": 0.75,
        "own/first": pytest.approx(0.25, abs=0.02),
        "own/gate": 0.25,
        "own/table": 0.25,
        "head": pytest.approx(0.5, abs=0.01),
    }


def test_what_is_left_out_is_listed_with_the_reason():
    inputs = keras.Input((5,), dtype="int32")
    x = L.Embedding(9, 6, name="words")(inputs)
    x = Products(name="own")(x)
    x = L.PReLU(name="prelu")(L.LayerNormalization(axis=(1, 2))(x))
    model = keras.Model(inputs, L.Dense(3)(x))
    assert left_out(model) == {
        "words": "an embedding",
        "own/positions": "added, multiplied or put in element by element",
        "own/gate": "added, multiplied or put in element by element",
        "own/table": "an embedding: looked up row by row",
    }
    pruned = _pruned(model, 0.5)
    assert not set(left_out(model)) & {kernel.layer for kernel in tfopt.measure.layer_table(pruned)}


def test_an_embedding_that_also_projects_is_one():
    inputs = keras.Input((5,), dtype="int32")
    table = L.ReversibleEmbedding(9, 6, tie_weights=False, name="words")
    model = keras.Model(inputs, table(L.Dense(6, name="mid")(table(inputs)), reverse=True))
    pruned = tfopt.prune(model, 0.5)
    assert [kernel.layer for kernel in tfopt.measure.layer_table(pruned)] == ["mid"]
    assert left_out(model) == {"words": "an embedding"}
    shares = [entry.mask.value.mean() for entry in masked(tfopt.prune(model, 0.5, rules={"words": 0.5}))]
    assert shares == pytest.approx([0.5, 0.5, 0.5], abs=0.02)


def test_masks_that_a_file_leaves_out_are_warned_of_and_can_be_kept_beside_it(tmp_path):
    model = MODELS["own layer"][0]()
    with pytest.warns(UserWarning, match=r"'own/matrix', 'own/first'.*keep_zeros\(model\)"):
        pruned = tfopt.prune(model, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tfopt.prune(MODELS["attention"][0](), 0.5)
    beside = unsaved_masks(pruned)
    pruned.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    put_masks(loaded, beside)
    _same_masks(pruned, loaded)


def test_keep_zeros_leaves_kernels_of_zeros_alone_and_takes_those_it_is_given():
    inputs = keras.Input((5, 6))
    x = L.Dense(4, name="full")(inputs)
    x = L.Dense(4, kernel_initializer="zeros", name="empty")(x)
    x = L.Dense(4, name="sparse")(x)
    model = keras.Model(inputs, L.Dense(4, name="also")(x))
    for name in ("sparse", "also"):
        kernel = model.get_layer(name).kernel
        kernel.assign(np.where(np.arange(16).reshape(4, 4) % 2, kernel.numpy(), 0))
    assert keep_zeros(model, ["also", "full"]) == ["also"]
    assert keep_zeros(model) == ["also", "sparse"]
    assert [entry.kernel.path for entry in masked(model)] == ["sparse", "also"]


def test_line_searches_keep_the_zeros_of_attention(tmp_path):
    inputs = keras.Input((5, 6))
    x = L.MultiHeadAttention(2, 4, name="mha")(inputs, inputs)
    model = tfopt.prune(keras.Model(inputs, L.Dense(3)(L.Flatten()(x))), 0.5)
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    model.compile("adam", "mse")
    before = tfopt.measure.sparsity(model)
    tfopt.trainers.LBFGS(max_iter=3).minimize(model, data=data(model))
    assert tfopt.measure.sparsity(model) == before


def test_a_model_without_kernels_is_an_error():
    inputs = keras.Input((4,))
    with pytest.raises(InvalidArgumentError, match="no kernel to prune"):
        tfopt.prune(keras.Model(inputs, L.Rescaling(2.0)(inputs)))


def test_a_subclassed_model_without_any_config_is_pruned_and_left_as_it_is(tmp_path):
    model = Unwritten()
    x = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
    model(x)
    before = model.get_weights()
    pruned = _pruned(model, 0.5)
    assert type(pruned) is Unwritten
    names = {kernel.layer.split("/")[-1]: kernel.sparsity for kernel in tfopt.measure.layer_table(pruned)}
    assert names == {"mix": 0.5, "dense_0": 0.5, "dense_1": 0.5, "head": 0.5}
    assert tfopt.measure.sparsity(model) == 0
    pruned.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    pruned.fit(x, np.ones((16, 3), "float32"), verbose=0, epochs=2)
    assert tfopt.measure.sparsity(pruned) == 0.5
    pruned.save_weights(tmp_path / "w.weights.h5")
    fresh = Unwritten()
    fresh(x)
    fresh.load_weights(tmp_path / "w.weights.h5")
    assert len(keep_zeros(fresh)) == 4
    fresh.compile(keras.optimizers.SGD(0.1), "mse")
    fresh.fit(x, np.ones((16, 3), "float32"), verbose=0)
    assert tfopt.measure.sparsity(fresh) == 0.5
    assert all(map(np.array_equal, before, model.get_weights()))
