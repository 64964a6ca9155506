"""Runs of models with several outputs: their names and structure hold through every stage and in the file."""

import keras
import numpy as np
import pytest

import tfopt
from tests.at_length import some
from tfopt.errors import DataError

X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
KIND = (X[:, 0] > 0).astype(np.int32)
SIZE = X[:, 1:2]
LOSSES = ("sparse_categorical_crossentropy", "mse")
METRICS = (["accuracy"], ["mae"])


def parts():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="in")
    x = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    kind = keras.layers.Dense(2, activation="softmax", name="kind")(x)
    return inputs, kind, keras.layers.Dense(1, name="size")(x)


def by(keys, values):
    return dict(zip(keys, values, strict=True))


def outputs_by_key(keys):
    inputs, kind, size = parts()
    model = keras.Model(inputs, by(keys, (kind, size)))
    model.compile(keras.optimizers.Adam(0.01), by(keys, LOSSES), metrics=by(keys, METRICS))
    return model, by(keys, (KIND, SIZE))


def outputs_in_a_list(named_losses, named_targets):
    inputs, kind, size = parts()
    keys = ("kind", "size")
    model = keras.Model(inputs, [kind, size])
    given = (by(keys, LOSSES), by(keys, METRICS)) if named_losses else (list(LOSSES), list(METRICS))
    model.compile(keras.optimizers.Adam(0.01), given[0], metrics=given[1])
    return model, by(keys, (KIND, SIZE)) if named_targets else (KIND, SIZE)


CASES = {
    "dict": lambda: outputs_by_key(("kind", "size")),
    "dict of other names": lambda: outputs_by_key(("z", "a")),
    "list": lambda: outputs_in_a_list(False, False),
    "list, losses by name": lambda: outputs_in_a_list(True, False),
    "list, all by name": lambda: outputs_in_a_list(True, True),
}
STAGES = [tfopt.Train(epochs=1), tfopt.QuantizeAware(epochs=1), tfopt.ExportTFLite()]


@pytest.mark.parametrize("case", some(CASES, ["list, losses by name", next(iter(CASES))]))
def test_a_run_of_a_model_with_two_outputs(case, tmp_path):
    model, targets = CASES[case]()
    data = tfopt.data.from_arrays(X, targets, num_classes=None)
    run = tfopt.Pipeline(STAGES).run(model, data, out=tmp_path, quiet=True)
    first, quantized, file = (stage["metrics"] for stage in run.record["stages"])
    assert set(first) == set(quantized) == set(file)
    assert file["loss"] == pytest.approx(quantized["loss"], abs=0.02)
    again = run.model("quantize_aware")
    assert again.output_names == model.output_names
    assert keras.tree.map_structure(lambda x: x.shape, again.output) == keras.tree.map_structure(
        lambda x: x.shape, model.output
    )


def test_a_single_output_whose_loss_is_given_by_name(tmp_path):
    inputs, _, size = parts()
    model = keras.Model(inputs, size)
    model.compile(keras.optimizers.Adam(0.01), {"size": "mse"}, metrics={"size": ["mae"]})
    data = tfopt.data.from_arrays(X, SIZE, num_classes=None)
    run = tfopt.Pipeline(STAGES).run(model, data, out=tmp_path, quiet=True)
    assert "mae" in run.metrics


@pytest.mark.parametrize("targets", [{"kind": KIND, "height": SIZE}, (KIND, SIZE)])
def test_targets_that_do_not_name_the_outputs_are_refused_and_the_advice_works(targets, tmp_path):
    model, right = outputs_by_key(("kind", "size"))
    data = tfopt.data.from_arrays(X, targets, num_classes=None)
    with pytest.raises(DataError, match=r"a dict with the names of the outputs: y=\{'kind': ..., 'size'"):
        tfopt.Pipeline(STAGES).run(model, data, out=tmp_path, quiet=True)
    data = tfopt.data.from_arrays(X, right, num_classes=None)
    assert tfopt.Pipeline(STAGES[:1]).run(model, data, out=tmp_path, quiet=True).complete


@pytest.mark.parametrize("stages", [STAGES, [tfopt.ExportTFLite("int8", min_agreement=0.0)]])
def test_a_sequential_model(stages, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, activation="softmax", name="head")])
    model.compile(keras.optimizers.Adam(0.01), LOSSES[0], metrics=["accuracy"])
    run = tfopt.Pipeline(stages).run(model, tfopt.data.from_arrays(X, KIND), out=tmp_path, quiet=True)
    assert run.record["model"]["outputs"] == ["head"]
    assert "accuracy" in run.metrics
