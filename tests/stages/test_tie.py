"""The stage Tie."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError, InvariantError, StageOrderError
from tfopt.stages.order import check_order

RULES = {"hidden?": "hidden"}


@dataclasses.dataclass
class _Context:
    """Notes that something is trained; a pipeline trains."""

    record: dict = dataclasses.field(default_factory=dict)
    trained: list = dataclasses.field(default_factory=list)

    def fit(self, model, *, epochs, callbacks=()):
        self.trained.append((model, epochs))


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((64,), name="image"),
            L.Dense(16, "relu", name="first"),
            *(L.Dense(16, "relu", name=f"hidden{number}") for number in (1, 2, 3)),
            L.Dense(10, "softmax", name="head"),
        ]
    )


@pytest.mark.parametrize("epochs", [0, 2])
def test_it_ties_records_and_trains_where_epochs_are_given(model, epochs):
    context = _Context()
    tied = tfopt.Tie(RULES, epochs=epochs).apply(model, context)
    assert context.trained == ([(tied, epochs)] if epochs else [])
    layers = ["hidden1", "hidden2", "hidden3"]
    assert context.record["tied"] == [{"group": "hidden", "layers": layers, "weights": 2 * 272}]
    assert tied.count_params() == model.count_params() - 2 * 272
    json.dumps(context.record)


def test_a_later_stage_that_parts_the_layer_is_told_so(model):
    stage = tfopt.Tie({"hidden[12]": "hidden"})
    tied = stage.apply(model, _Context())
    stage.check(tied, tfopt.graph.copy(tied))
    with pytest.raises(InvariantError, match=r"'hidden1' was called 2 times, and is called 1.*before Tie"):
        stage.check(tied, model)


def test_it_is_data():
    stage = tfopt.Tie(RULES | {"first": None}, init="mean", epochs=3, learning_rate=0.1, teacher="float")
    config = json.loads(json.dumps(stage.get_config()))
    assert config.pop("class") == "Tie"
    assert tfopt.Tie(**config) == stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rules": {}}, "pattern of layer paths -> the name of a group"),
        ({"init": "last"}, "'first', 'mean'"),
        ({"epochs": -1}, "epochs to be a whole number >= 0"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"teacher": 3}, "teacher"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.Tie(**{"rules": RULES, **arguments})


def test_what_cannot_be_done_is_refused_before_any_training(model, tmp_path):
    model.compile("sgd", "sparse_categorical_crossentropy")
    data = tfopt.data.from_arrays(np.ones((40, 64), "float32"), np.arange(40) % 10, scale="none")
    pipeline = tfopt.Pipeline([tfopt.Train(epochs=1), tfopt.Tie({"hiden?": "hidden"})])
    with pytest.raises(InvalidArgumentError, match=r"The rule 'hiden[?]' matches no layer"):
        pipeline.run(model, data, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "first",
    [
        tfopt.Prune(),
        tfopt.Cluster(),
        tfopt.PruneChannels(0.5),
        tfopt.LowRank(0.5),
        tfopt.QuantizeAware("int8"),
    ],
)
def test_it_comes_before_what_is_of_one_layer(first):
    with pytest.raises(StageOrderError, match=f"put Tie before {type(first).__name__}"):
        check_order([first, tfopt.Tie(RULES)])
    check_order([tfopt.Train(), tfopt.Tie(RULES), first])


@pytest.mark.slow
def test_in_a_pipeline_up_to_the_int8_file(model, tmp_path):
    data = tfopt.data.load("digits")
    inputs = keras.Input((8, 8, 1))
    whole = keras.Model(inputs, model(L.Flatten()(inputs)))
    whole.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stages = [
        tfopt.Tie({"*hidden?": "hidden"}),
        tfopt.Train(epochs=8),
        tfopt.Prune(0.5, epochs=2),
        tfopt.Cluster(16, epochs=1),
        tfopt.QuantizeAware("int8", epochs=1),
        tfopt.ExportTFLite(),
    ]
    run = tfopt.Pipeline(stages).run(whole, data, out=tmp_path, quiet=True)
    clustered, quantized, exported = run.typed.stages[-3:]
    assert exported.metrics["accuracy"] > clustered.metrics["accuracy"] - 0.05
    assert quantized.metrics["accuracy"] > 0.5
    file = tfopt.TFLiteModel(next(tmp_path.rglob("*.tflite")))
    assert [weight.bytes for weight in file.summary().weights].count(256) == 1
