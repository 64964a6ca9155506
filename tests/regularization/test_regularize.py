"""Penalties by rule on a model that exists."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.regularization import GroupLasso, regularize

R = keras.regularizers


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2))
    x = L.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = L.BatchNormalization(name="norm")(x)
    x = L.DepthwiseConv2D(3, name="depthwise")(x)
    block = keras.Sequential([keras.Input((64,)), L.Dense(6, name="inner")], name="block")
    return keras.Model(inputs, L.Dense(3, name="head")(block(L.Flatten()(x))))


def penalty(model):
    return float(sum(model.losses)) if model.losses else 0.0


def kernel(model, name):
    return model.get_layer(name).kernel.numpy().astype(float)


def test_all_kernels_get_the_default_and_rules_win(model):
    made = regularize(
        model, R.L2(0.1), rules={"head": R.L1(0.01), "block": None, "depthwise": R.L1L2(0.1, 0.2)}
    )
    depthwise = kernel(model, "depthwise")
    expected = (
        0.1 * (kernel(model, "conv") ** 2).sum()
        + 0.01 * np.abs(kernel(model, "head")).sum()
        + 0.1 * np.abs(depthwise).sum()
        + 0.2 * (depthwise**2).sum()
    )
    assert penalty(made) == pytest.approx(expected, rel=1e-5)
    assert penalty(model) == 0
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype("float32")
    np.testing.assert_array_equal(made.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_name_and_a_replaced_regularizer(model):
    twice = regularize(regularize(model, "l2"), R.L2(0.5), rules={"head": None})
    expected = 0.5 * sum((kernel(each, name) ** 2).sum() for each, name in (
        (model, "conv"), (model.get_layer("block"), "inner"),
    )) + 0.01 * (kernel(model, "head") ** 2).sum()  # fmt: skip
    assert penalty(twice) == pytest.approx(expected, rel=1e-5)


def test_files_hold_the_penalties_and_need_no_tfopt_for_those_of_keras(model, tmp_path):
    made = regularize(model, R.L2(0.1), rules={"depthwise": R.L1(0.1)})
    made.save(tmp_path / "made.keras")
    code = (
        "import sys, keras; m = keras.models.load_model(sys.argv[1]); "
        "assert 'tfopt' not in sys.modules; print(float(sum(m.losses)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "made.keras")], capture_output=True, text=True, check=True
    )
    assert float(out.stdout.split()[-1]) == pytest.approx(penalty(made), rel=1e-5)


def test_group_lasso_is_the_sum_of_the_norms_of_channels(model, tmp_path):
    made = regularize(model, rules={"conv": GroupLasso(0.1)})
    norms = np.sqrt((kernel(model, "conv") ** 2).sum((0, 1, 2)))
    assert penalty(made) == pytest.approx(0.1 * np.sqrt(18) * norms.sum(), rel=1e-5)
    made.save(tmp_path / "made.keras")
    assert penalty(keras.models.load_model(tmp_path / "made.keras")) == pytest.approx(penalty(made))


def test_group_lasso_makes_whole_channels_small():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 6)).astype("float32")
    y = 2 * x[:, :1] - x[:, 1:2]
    source = keras.Sequential([keras.Input((6,)), L.Dense(1, name="only")])
    made = regularize(source, rules={"only": GroupLasso(0.1, axis=-2)})
    made.compile(keras.optimizers.SGD(0.05), "mse")
    made.fit(x, y, epochs=30, batch_size=64, verbose=0)
    weights = np.abs(made.get_layer("only").kernel.numpy()).ravel()
    assert weights[:2].min() > 20 * weights[2:].max()


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(lambda model: tfopt.prune(model, 0.5), id="prune"),
        pytest.param(lambda model: tfopt.quantize_aware(model), id="quantize_aware", marks=pytest.mark.slow),
    ],
)
def test_later_steps_keep_the_penalties(model, step):
    made = step(regularize(model, R.L2(0.1)))
    assert penalty(made) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no kernel of .* gets a regularizer"),
        (
            {"regularizer": 3},
            "expected regularizer to be a regularizer, such as keras.regularizers.L2.*got 3",
        ),
        ({"regularizer": "l3"}, "got 'l3'"),
        ({"rules": {"haed": R.L2()}}, "Did you mean 'head'"),
        ({"rules": {"head": 0.1}}, "expected rule 'head' to be a regularizer.*got 0.1"),
        ({"rules": ["head"]}, "expected rules to be a dict"),
    ],
)
def test_what_is_no_regularizer_is_one_sentence(model, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        regularize(model, **arguments)


@pytest.mark.parametrize("wrong", [{"strength": -1}, {"axis": 0.5}])
def test_group_lasso_checks_its_arguments(wrong):
    with pytest.raises(InvalidArgumentError, match="GroupLasso"):
        GroupLasso(**wrong)
