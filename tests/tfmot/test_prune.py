"""Pruning by tensorflow-model-optimization, in a Keras 3 fit."""

import contextlib

import keras
import numpy as np
import pytest

import tfopt
from tfopt.callbacks import PruningSchedule
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.pruning import Cubic, SparsityMask
from tfopt.tfmot.library import tfmot


def test_it_prunes_in_fit_and_comes_back_as_the_same_model(cnn, some_digits, logits_loss, tmp_path):
    x, y = some_digits
    original = cnn(kernel_regularizer="l2")
    model = tfopt.prune(original, 0.75, schedule=Cubic(end=0.5), rules={"head": 0.5}, engine="tfmot")
    model.compile(tfopt.optimizers.Adan(0.01, use_ema=True), logits_loss, metrics=["accuracy"])
    history = model.fit(
        x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[PruningSchedule()]
    ).history
    assert history["sparsity"] == sorted(history["sparsity"])
    assert history["val_loss"][-1] < 2.31
    model(x[:1])
    inner = tfopt.tfmot.bridge_of(model).module.get_layer("prune_low_magnitude_conv1").layer
    penalty = 0.01 * np.sum(inner.kernel.numpy() ** 2)
    assert float(sum(model.losses)) == pytest.approx(penalty, rel=1e-4)

    stripped = tfopt.tfmot.strip(model)
    assert [layer.name for layer in stripped.layers] == [layer.name for layer in original.layers]
    assert np.allclose(stripped.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
    table = {entry.layer: entry.sparsity for entry in tfopt.measure.layer_table(stripped)}
    assert table == pytest.approx({"conv1": 0.75, "conv2": 0.75, "head": 0.5})
    assert tfopt.measure.sparsity(model) == tfopt.measure.sparsity(stripped) == history["sparsity"][-1]
    for name in table:
        assert isinstance(stripped.get_layer(name).kernel.constraint, SparsityMask)
    assert not np.signbit(
        stripped.get_layer("head").kernel.numpy()[stripped.get_layer("head").kernel == 0]
    ).any()

    model.save(tmp_path / "wrapped.keras")
    loaded = keras.saving.load_model(tmp_path / "wrapped.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_it_says_what_raises_the_sparsity(cnn, some_digits, logits_loss):
    model = tfopt.prune(cnn(), 0.5, schedule=Cubic(), engine="tfmot")
    model.compile("sgd", logits_loss)
    with pytest.raises(InvalidArgumentError, match="PruningSchedule"):
        model.fit(*some_digits, verbose=0)


def test_without_a_schedule_the_zeros_are_made_at_once(cnn):
    original = cnn()
    before = original.get_weights()
    model = tfopt.prune(original, 0.5, engine="tfmot")
    assert tfopt.measure.sparsity(model) == pytest.approx(0.5)
    assert all(np.array_equal(*pair) for pair in zip(before, original.get_weights(), strict=True))


@pytest.mark.slow
def test_2_to_4_and_blocks_pass_through(cnn):
    stripped = tfopt.tfmot.strip(
        tfopt.prune(cnn(), 0.5, engine="tfmot", engine_options={"sparsity_m_by_n": (2, 4)})
    )
    # Along the inputs, as the kernels of sparse matrix units want it.
    columns = stripped.get_layer("head").kernel.numpy().T.reshape(10, -1, 4)
    assert ((columns == 0).sum(axis=2) == 2).all()
    blocks = tfopt.tfmot.strip(
        tfopt.prune(cnn(), 0.5, rules={"conv*": None}, engine="tfmot", engine_options={"block_size": (2, 2)})
    )
    dead = blocks.get_layer("head").kernel.numpy() == 0
    squares = dead.reshape(dead.shape[0] // 2, 2, 5, 2).sum(axis=(1, 3))
    assert set(np.unique(squares)) == {0, 4}


@pytest.mark.slow
def test_schedules_of_the_engine_pass_through(cnn, some_digits, logits_loss, tmp_path):
    schedule = tfmot().sparsity.keras.PolynomialDecay(0.2, 0.6, begin_step=1, end_step=4, frequency=1)
    model = tfopt.prune(cnn(), engine="tfmot", engine_options={"pruning_schedule": schedule})
    model.compile("adam", logits_loss)
    model.fit(*some_digits, verbose=0, callbacks=[PruningSchedule()])
    assert tfopt.measure.sparsity(tfopt.tfmot.strip(model)) == pytest.approx(0.6, abs=0.01)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras") is not None


@pytest.mark.slow
def test_recurrent_kernels_are_pruned(logits_loss):
    model = keras.Sequential([keras.Input((6, 2)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(3)])
    stripped = tfopt.tfmot.strip(tfopt.prune(model, 0.5, engine="tfmot"))
    kernel, recurrent, bias = stripped.get_layer("lstm").get_weights()
    assert [np.mean(each == 0) for each in (kernel, recurrent)] == [0.5, 0.5]
    assert bias.any()


def _dense():
    return keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["prune", "quantize_aware", "cluster"])
def test_two_devices_train_as_one(cnn, some_digits, logits_loss, two_devices, method):
    """Without dropout and batch statistics, which differ with the replica."""
    x, y = some_digits
    wrap = {
        "prune": lambda model: tfopt.prune(model, 0.8, schedule=Cubic(), engine="tfmot"),
        "quantize_aware": lambda model: tfopt.quantize_aware(model, engine="tfmot"),
        "cluster": lambda model: tfopt.cluster(
            model, 8, engine="tfmot", engine_options={"cluster_centroids_init": "LINEAR"}
        ),
    }[method]
    answers = []
    for scope in (two_devices.scope(), contextlib.nullcontext()):
        with scope:
            source = cnn()
            inputs = keras.Input((8, 8, 1), name="image")
            hidden = keras.layers.Flatten()(source.get_layer("conv1")(inputs))
            model = wrap(keras.Model(inputs, _dense()(hidden)))
            model.compile(keras.optimizers.SGD(0.01), logits_loss)
        model.fit(
            x, y, epochs=2, batch_size=64, shuffle=False, verbose=0,
            callbacks=[PruningSchedule()] if method == "prune" else [],
        )  # fmt: skip
        answers.append([variable.numpy() for variable in model.trainable_variables])
    for one, two in zip(*answers, strict=True):
        # Ranges are averaged over replicas, which see other extremes than the whole batch; a weight near the
        # middle of two centroids may be pulled to either.
        assert np.allclose(one, two, atol=1e-5 if method == "prune" else 2e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "torch"}, "engine to be one of 'keras', 'tfmot'"),
        ({"engine_options": {"block_size": (1, 4)}}, 'engine_options are for engine="tfmot"'),
        ({"engine": "tfmot", "scope": "global"}, "does not know scope='global'"),
        ({"engine": "tfmot", "engine_options": {"blocks": 4}}, "no option 'blocks'"),
        ({"engine": "tfmot", "sparsity": 1.5}, "share of zeros"),
        ({"engine": "tfmot", "engine_options": {"pruning_schedule": 0.5}}, "pruning_schedule must be"),
        (
            {"engine": "tfmot", "schedule": Cubic(), "engine_options": {"sparsity_m_by_n": (2, 4)}},
            "leave schedule out",
        ),
        ({"engine": "tfmot", "rules": {"*": None}}, "no kernel left"),
        ({"engine": "tfmot", "rules": {"nothing": 0.5}}, "matches no layer"),
    ],
)
def test_bad_arguments(cnn, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.prune(cnn(), **arguments)


def test_what_is_no_wrapped_model_is_refused(cnn):
    model = cnn()
    with pytest.raises(InvalidArgumentError, match="not wrapped"):
        tfopt.tfmot.strip(model)
    wrapped = tfopt.prune(model, 0.5, engine="tfmot")
    with pytest.raises(InvalidArgumentError, match="wrapped by tensorflow-model-optimization already"):
        tfopt.quantize_aware(wrapped, engine="tfmot")


def test_a_layer_that_it_does_not_prune_is_named_with_the_engine_that_does():
    model = keras.Sequential(
        [keras.Input((4, 6)), keras.layers.EinsumDense("bij,jk->bik", (4, 3), name="mix")]
    )
    with pytest.raises(UnsupportedOperation, match=r"prune 'mix' \(EinsumDense\).*engine=\"keras\" takes it"):
        tfopt.prune(model, 0.5, engine="tfmot")
    model = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.DepthwiseConv2D(3, name="dw")])
    with pytest.raises(UnsupportedOperation, match="never prunes DepthwiseConv2D"):
        tfopt.prune(model, rules={"dw": 0.5}, engine="tfmot")
    model = keras.Sequential([keras.Input((4, 6)), keras.layers.PReLU(name="slope"), keras.layers.Dense(2)])
    with pytest.raises(UnsupportedOperation, match=r"'slope' \(PReLU\).*No other engine of tfopt takes it"):
        tfopt.prune(model, rules={"slope": 0.5}, engine="tfmot")
