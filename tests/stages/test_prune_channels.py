"""The stage, in a context that trains as a pipeline does."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfopt
from tests.at_length import some
from tfopt.data import from_arrays
from tfopt.errors import DataError, GoalError, InvalidArgumentError, InvariantError, StageOrderError
from tfopt.stages import PruneChannels


def _data(samples=80):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 8, 8, 1)).astype("float32"), np.arange(samples) % 10
    return from_arrays(x, y, validation=0.1, test=0.1)


def _dense():
    """Return a model that trains in a moment, with random state."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(16, activation="relu", name="hidden")(layers.Flatten()(inputs))
    outputs = layers.Dense(10, activation="softmax", name="head")(layers.Dropout(0.5)(x))
    return keras.Model(inputs, outputs)


class Killed(Exception):
    """Stands for a process that ends."""


@dataclasses.dataclass
class _Context:
    """Trains on a few random images where it is to, and remembers all state as checkpoints do."""

    directory: Path
    data: Any = dataclasses.field(default_factory=_data)
    loss: Any = "sparse_categorical_crossentropy"
    scheme: str = "float32"
    seed: int = 1
    record: dict = dataclasses.field(default_factory=dict)
    epochs: list = dataclasses.field(default_factory=list)
    losses: list = dataclasses.field(default_factory=list)
    checkpoints: dict = dataclasses.field(default_factory=dict)
    killed_in: int | None = None
    trains: bool = True

    def once(self, make):
        return make()

    def fit(self, model, *, epochs, callbacks=()):
        number = len(self.epochs)
        self.epochs.append(epochs)
        self.losses.append(len(model.losses))
        if number in self.checkpoints:
            for variable, value in zip(model.variables, self.checkpoints[number], strict=True):
                variable.assign(value)
            return
        if number == self.killed_in:
            raise Killed
        if not self.trains:
            return
        keras.utils.set_random_seed(number)
        model.compile(keras.optimizers.Adam(0.01), self.loss)
        x, y = self.data.split("train")
        model.fit(x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
        self.checkpoints[number] = [variable.numpy() for variable in model.variables]


@pytest.fixture
def context(tmp_path):
    return _Context(tmp_path)


def test_it_removes_channels_trains_and_says_what_it_did(small_cnn, context):
    model = PruneChannels(0.5, epochs=2, importance="taylor", scope="local").apply(
        small_cnn(width=16), context
    )
    assert context.epochs == [2]
    assert model.get_layer("conv1").filters == model.get_layer("hidden").units == 8
    record = json.loads(json.dumps(context.record))["channels"]
    assert record["widths"] == [
        {"group": "conv1", "layers": ["conv1", "sep"], "before": 16, "after": 8},
        {"group": "hidden", "layers": ["hidden"], "before": 16, "after": 8},
    ]
    assert record["costs"]["params"] == [small_cnn(width=16).count_params(), model.count_params()]
    assert record["costs"]["macs"] == [tfopt.measure.macs(small_cnn(width=16)), tfopt.measure.macs(model)]
    assert list(record["frozen"]) == ["head"]


def test_iterations_go_by_equal_factors_and_divide_the_epochs(small_cnn, context):
    context.trains = False
    stage = PruneChannels(0.75, epochs=5, iterations=2, scope="local", round_to=1)
    model = stage.apply(small_cnn(width=16), context)
    assert context.epochs == [2, 3]
    plans = [json.loads((context.directory / f"channels-{i}.json").read_text()) for i in (1, 2)]
    assert [(each["before"], each["after"]) for plan in plans for each in plan["widths"]] == [
        (16, 8),
        (16, 8),
        (8, 4),
        (8, 4),
    ]
    assert model.get_layer("conv1").filters == 4
    assert {(each["before"], each["after"]) for each in context.record["channels"]["widths"]} == {(16, 4)}


@pytest.mark.parametrize(
    "budget",
    [{"macs": 0.4}, {"macs": 15000, "params": 0.5}, pytest.param({"bytes": 0.6}, marks=pytest.mark.slow)],
)
def test_a_budget_is_met_at_the_end_of_several_iterations(small_cnn, context, budget):
    context.trains = False
    before = small_cnn(width=16)
    model = PruneChannels(**budget, epochs=2, iterations=2).apply(small_cnn(width=16), context)
    costs = {
        "macs": tfopt.measure.macs,
        "params": keras.Model.count_params,
        "bytes": lambda each: len(bytes(tfopt.to_tflite(each, "float32"))),
    }
    for name, limit in budget.items():
        most = limit if limit > 1 else limit * costs[name](before)
        assert 0.6 * most < costs[name](model) <= most
    first = json.loads((context.directory / "channels-1.json").read_text())["costs"]
    name = next(iter(budget))
    assert costs[name](model) < first[name][1] < first[name][0]


def test_sparse_learning_comes_first_and_is_gone(context):
    stage = PruneChannels(0.5, epochs=1, sparse_epochs=2, sparse_strength=0.1)
    model = stage.apply(_dense(), context)
    assert context.epochs == [2, 1]
    assert context.losses == [1, 0]
    assert not model.losses


@pytest.mark.parametrize("killed_in", some([0, 1, 2], [2]))
def test_it_resumes_as_if_it_had_not_been_killed(tmp_path, killed_in):
    def stage():
        return PruneChannels(0.6, epochs=2, iterations=2, importance="random", sparse_epochs=1, round_to=1)

    whole = _Context(tmp_path / "whole")
    expected = stage().apply(_dense(), whole)
    killed = _Context(tmp_path / "killed", killed_in=killed_in)
    with pytest.raises(Killed):
        stage().apply(_dense(), killed)
    # Where all is decided, another seed changes nothing: what was written is followed.
    seed = 2 if killed_in == 2 else 1
    resumed = _Context(tmp_path / "killed", seed=seed, checkpoints=dict(killed.checkpoints))
    model = stage().apply(_dense(), resumed)
    for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert resumed.record == whole.record
    names = [sorted(path.name for path in each.directory.iterdir()) for each in (whole, resumed)]
    assert names[0] == names[1] == ["channels-1.json", "channels-2.json"]


@pytest.mark.parametrize("content", ["{", '{"widths": []}', None])
def test_a_damaged_plan_is_written_anew(small_cnn, context, caplog, content):
    context.trains = False
    path = context.directory / "channels-1.json"
    PruneChannels(0.5, epochs=1).apply(small_cnn(width=16), context)
    whole = path.read_text()
    path.write_text(whole.replace("hidden", "other") if content is None else content)
    PruneChannels(0.5, epochs=1).apply(small_cnn(width=16), context)
    assert path.read_text() == whole
    assert "channels-1.json is written anew" in caplog.text


def test_it_is_data():
    stage = PruneChannels(latency="1.5ms", bytes=0.5, epochs=2, rules={"head": None}, scheme="int8")
    config = json.loads(json.dumps(stage.get_config()))
    assert config.pop("class") == "PruneChannels"
    assert PruneChannels(**config) == stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "there is no goal"),
        ({"ratio": 1.2}, "ratio to be a finite number"),
        ({"ratio": 0.5, "epochs": 0}, "epochs to be a whole number >= 1"),
        ({"ratio": 0.5, "epochs": 2, "iterations": 3}, "epochs to be a whole number >= 3"),
        ({"ratio": 0.5, "iterations": 0}, "iterations to be a whole number >= 1"),
        ({"ratio": 0.5, "importance": "snip"}, "importance to be one of"),
        ({"ratio": 0.5, "sparse_epochs": -1}, "sparse_epochs to be"),
        ({"ratio": 0.5, "sparse_strength": 0}, "sparse_strength to be"),
        ({"ratio": 0.5, "learning_rate": 0}, "learning_rate to be"),
        ({"ratio": 0.5, "teacher": 7}, "teacher must be"),
        ({"macs": 0}, "The budget macs=0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        PruneChannels(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ratio": 0.5, "rules": {"convolution": None}}, InvalidArgumentError, "matches no layer"),
        ({"macs": 1e-4}, GoalError, "What can be reached is macs"),
        ({"bytes": 1e-3}, GoalError, "What can be reached is bytes"),
        ({"ratio": 0.5, "rules": {"*": None}}, InvalidArgumentError, "the rules leave all groups whole"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_training(small_cnn, tmp_path, arguments, error, message):
    model = small_cnn(width=16)
    model.compile("adam", "sparse_categorical_crossentropy")
    pipeline = tfopt.Pipeline([tfopt.Train(epochs=1), PruneChannels(**arguments)])
    with pytest.raises(error, match=message):
        pipeline.run(model, _data(), out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_too_few_samples_are_refused_before_any_training(small_cnn):
    with pytest.raises(DataError, match="a batch of 32 samples at least, got 24"):
        PruneChannels(0.5, importance="activation").preflight(small_cnn(16), _data(30), None, "int8")


def test_check_names_the_kernel_that_changed(small_cnn):
    before, same, other = small_cnn(width=16), small_cnn(width=16), small_cnn(width=8)
    PruneChannels(0.5).check(before, same)
    PruneChannels(0.5).check(before, tfopt.prune(same, 0.5))
    PruneChannels(0.5).check(before, tfopt.quantize_aware(same))
    with pytest.raises(InvariantError, match=r"'conv1' had the sizes \[3, 3, 16\].*has \[3, 3, 8\]"):
        PruneChannels(0.5).check(before, other)


def test_it_learns_from_a_teacher_in_every_training(tmp_path):
    model = _dense()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    losses = {}
    for teacher in (None, "float"):
        stage = PruneChannels(0.5, epochs=1, sparse_epochs=1, teacher=teacher)
        run = tfopt.Pipeline([stage]).run(model, _data(), out=tmp_path / str(teacher), quiet=True)
        losses[teacher] = run.record["stages"][-1]["history"]["loss"]
        assert run.record["stages"][-1]["channels"]["widths"][0]["after"] == 8
    assert len(losses[None]) == 2
    assert all(a != b for a, b in zip(losses[None], losses["float"], strict=True))


@pytest.mark.slow
def test_the_advice_on_order_is_followed(small_cnn, tmp_path):
    with pytest.raises(StageOrderError, match="put PruneChannels before QuantizeAware"):
        tfopt.Pipeline([tfopt.QuantizeAware(epochs=0), PruneChannels(0.5)])
    model = small_cnn(width=16)
    model.compile("adam", "sparse_categorical_crossentropy")
    stages = [PruneChannels(0.5, epochs=1), tfopt.QuantizeAware(epochs=0)]
    run = tfopt.Pipeline(stages).run(model, _data(), out=tmp_path, quiet=True)
    record = {stage["name"]: stage for stage in run.record["stages"]}
    assert record["quantize_aware"]["macs"] < 0.5 * record["start"]["macs"]
    assert record["prune_channels"]["channels"]["widths"][0]["after"] == 8
