"""The stage LowRank."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.at_length import some
from tfopt.errors import GoalError, InvalidArgumentError, InvariantError, StageOrderError
from tfopt.stages.order import check_order


@dataclasses.dataclass
class _Context:
    """Notes that something is trained; a pipeline trains."""

    directory: Path
    record: dict = dataclasses.field(default_factory=dict)
    data: object = None
    scheme: str = "float32"
    trained: list = dataclasses.field(default_factory=list)

    def once(self, make):
        return make()

    def fit(self, model, *, epochs, callbacks=()):
        self.trained.append((model, epochs))


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 8))
    x = layers.Conv2D(64, 3, padding="same", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x))


def test_it_factorizes_trains_and_records_the_plan(model, tmp_path):
    context = _Context(tmp_path)
    small = tfopt.LowRank(0.25, epochs=2).apply(model, context)
    assert context.trained == [(small, 2)]
    rows = {row["layer" if "layer" in row else "path"]: row for row in context.record["layers"]}
    assert rows["conv"]["ranks"] == (2, 16)
    assert rows["head"]["ranks"] is None
    assert rows["head"]["reason"]
    assert small.count_params() < model.count_params()
    json.dumps(context.record)


@pytest.mark.parametrize(
    ("asked", "pipeline", "limited"), [(None, "int8", "int8"), ("float16", "int8", "float16")]
)
def test_budgets_are_those_of_the_file_of_the_pipeline(
    model, tmp_path, monkeypatch, asked, pipeline, limited
):
    schemes = []

    def exported(model, scheme, data):
        schemes.append(scheme)
        return bytes(4 * model.count_params())

    monkeypatch.setattr("tfopt.export.untrained.untrained", exported)
    tfopt.LowRank(bytes=0.9, scheme=asked, epochs=1).apply(model, _Context(tmp_path, scheme=pipeline))
    assert set(schemes) == {limited}


def test_a_stage_that_is_resumed_takes_the_ranks_that_it_had(model, tmp_path):
    stage = tfopt.LowRank(macs=0.5, epochs=1)
    first = stage.apply(model, _Context(tmp_path))
    path = tmp_path / "ranks.json"
    chosen = json.loads(path.read_text())
    assert chosen["conv"]
    assert chosen["head"] is None
    chosen["conv"] = [3, 5]
    path.write_text(json.dumps(chosen))
    again = stage.apply(model, _Context(tmp_path))
    assert again.get_layer("conv_factor1").filters == 3
    assert first.get_layer("conv_factor1").filters != 3


@pytest.mark.parametrize("scheme", some(("int8", "int8_weights"), ("int8",)))
def test_quantization_keeps_the_factors(model, tmp_path, scheme):
    stage = tfopt.LowRank(0.25, epochs=1)
    small = stage.apply(model, _Context(tmp_path))
    stage.check(small, tfopt.quantize_aware(small, scheme))
    stage.check(small, tfopt.prune(small, 0.5))


def test_a_later_stage_that_loses_factors_is_told_so(model, tmp_path):
    stage = tfopt.LowRank(0.25, epochs=1)
    small = stage.apply(model, _Context(tmp_path))
    with pytest.raises(InvariantError, match=r"The factor 'conv_factor1' is gone.*before LowRank"):
        stage.check(small, model)
    wider = tfopt.LowRank(0.5, epochs=1)
    (tmp_path / "ranks.json").unlink()
    with pytest.raises(InvariantError, match="'conv_factor1' had 16 weights and has 32"):
        stage.check(small, wider.apply(model, _Context(tmp_path)))
    stage.check(wider.apply(model, _Context(tmp_path)), small)


def test_it_is_data():
    stage = tfopt.LowRank(macs=0.5, rules={"conv": [4, 8], "head": None}, method="svd", epochs=3)
    config = json.loads(json.dumps(stage.get_config()))
    assert config.pop("class") == "LowRank"
    assert tfopt.LowRank(**config) == stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 2}, "ratio to be"),
        ({"epochs": 0}, "epochs to be a whole number >= 1"),
        ({"method": "cp"}, "'tucker', 'spatial', 'svd'"),
        ({"scheme": "int3"}, "scheme must be one of"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"sensitivity": 1}, "sensitivity"),
        ({"energy": 0.5, "macs": 0.5}, "one of ratio, energy, rank and budgets"),
        ({"rules": {"conv": -1}}, "the rule 'conv'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.LowRank(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"macs": 1e-4}, GoalError, "macs can be from"),
        ({"rules": {"cnov": None}}, InvalidArgumentError, "Did you mean 'conv'"),
        (
            {"rules": {"conv": None, "head": None}, "bytes": 0.5, "scheme": "float32"},
            GoalError,
            "bytes can be",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_training(model, tmp_path, arguments, error, message):
    model.compile("adam", "sparse_categorical_crossentropy")
    data = tfopt.data.from_arrays(np.ones((40, 8, 8, 8), "float32"), np.arange(40) % 10, scale="none")
    pipeline = tfopt.Pipeline([tfopt.Train(epochs=1), tfopt.LowRank(**arguments)])
    with pytest.raises(error, match=message):
        pipeline.run(model, data, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (tfopt.Prune(), "none of its zeros; put LowRank before Prune"),
        (tfopt.Cluster(), "none of its clusters; put LowRank before Cluster"),
        (tfopt.QuantizeAware("int8"), "factors are found for float kernels"),
        (tfopt.ExportTFLite(), "ExportTFLite comes last"),
    ],
)
def test_it_comes_before_what_it_would_undo(first, reason):
    with pytest.raises(StageOrderError, match=reason):
        check_order([first, tfopt.LowRank(0.5)])
    if not isinstance(first, tfopt.ExportTFLite):
        check_order([tfopt.Train(), tfopt.LowRank(0.5), first])


@pytest.mark.slow
def test_in_a_pipeline_up_to_the_int8_file(tmp_path):
    data = tfopt.data.load("digits")
    keras.utils.set_random_seed(0)
    source = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="head"),
        ]
    )
    source.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    pipeline = tfopt.Pipeline(
        [
            tfopt.Train(epochs=4),
            tfopt.LowRank(bytes=0.4, sensitivity=True, epochs=3, scheme="int8"),
            tfopt.QuantizeAware("int8", epochs=1),
            tfopt.ExportTFLite(),
        ]
    )
    run = pipeline.run(source, data, out=tmp_path, quiet=True)
    trained, factorized, *_, exported = run.typed.stages
    assert factorized.macs < 0.7 * trained.macs
    assert exported.metrics["accuracy"] > trained.metrics["accuracy"] - 0.03
