"""The zoo of benchmarks/zoo.py: its models build, and its rows say what happened."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import zoo
import zoo_stages
from zoo_models import FIELDS, models

STYLES = ("actor_critic_cartpole", "retina_net", "gated_variable_selection", "translation_transformer")


def test_the_zoo_has_models_of_four_collections():
    table = models()
    sources = [entry.source for entry in table.values()]
    assert len(table) >= 120
    assert sources.count("keras.io") >= 80
    assert sources.count("KerasHub") >= 20
    assert len(table) - sources.count("keras.io") - sources.count("KerasHub") >= 20


@pytest.mark.parametrize("name", STYLES)
def test_a_model_builds_and_answers_differently_to_each_sample(name):
    keras.utils.set_random_seed(0)
    model, x = models()[name].build()
    for output in zoo_stages.outputs(model, x):
        assert np.isfinite(output).all()
        assert output.std(axis=0).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
def test_all_models_of_a_field_build(field):
    table = __import__(f"zoo_models.{field}", fromlist=["MODELS"]).MODELS
    for name, entry in table.items():
        keras.utils.set_random_seed(0)
        model, x = entry.build()
        assert all(np.isfinite(output).all() for output in zoo_stages.outputs(model, x)), name


def _answers(name, path, stages):
    zoo_stages.run_stages(name, path, stages)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["stage"]: line for line in lines if "started" not in line}


def test_the_stages_of_a_small_model_are_all_right(tmp_path):
    answers = _answers("hello_world_sine", tmp_path / "answers", zoo.STAGES[:-1])
    assert [stage for stage, answer in answers.items() if not answer.get("ok", stage == "all")] == []
    assert answers["prune"]["zeros"] == pytest.approx(0.5, abs=0.02)
    assert answers["training"]["reload"] == "equal"
    assert answers["training"]["max_lsb"] <= 2
    assert answers["channels"]["weights"] < 0.6
    assert answers["channels"]["rest_db"] > 100
    assert answers["clusters"]["values"] <= 16


def test_a_model_cut_in_the_wrong_places_computes_something_else():
    inputs = keras.Input((6,))
    x = keras.layers.Dense(16, activation="tanh", name="first")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(x))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(size=variable.shape))
    x, before = rng.normal(size=(9, 6)).astype("float32"), model.get_weights()
    smaller = tfopt.prune_channels(model, 0.5, round_to=1)
    for reader, near in ((np.asarray, True), (lambda rows: rows[::-1], False)):
        smaller.get_layer("head").kernel.assign(reader(smaller.get_layer("head").kernel.numpy()))
        with zoo_stages.restored(model):
            assert zoo_stages.zero_what_is_gone(model, smaller)
            rest = zoo_stages.outputs(model, x)
        db = zoo_stages.signal_to_noise(rest, zoo_stages.outputs(smaller, x))
        assert (db > 100) == near
    assert all(map(np.array_equal, before, model.get_weights()))


def test_an_error_is_told_with_its_text_and_whether_it_was_meant(tmp_path, monkeypatch):
    def refuse(model, x, entry):
        raise tfopt.errors.UnsupportedModel("no such luck")

    monkeypatch.setitem(zoo_stages.STAGES, "int8", refuse)
    answer = _answers("hello_world_sine", tmp_path / "answers", ["int8"])["int8"]
    assert answer["error"] == "UnsupportedModel: no such luck"
    assert answer["refused"]
    assert not answer["ok"]


def test_a_process_that_ends_is_a_row(tmp_path):
    (row,) = zoo.rows_of(["no such model"], limit=300)
    assert "ended with 1" in row["build"]["error"]
    assert "KeyError" in row["build"]["error"]


def test_embeddings_depthwise_kernels_and_biases_are_not_counted_as_kernels():
    inputs = keras.Input((6, 6), dtype="int32")
    x = keras.layers.Embedding(9, 4)(inputs)
    x = keras.layers.DepthwiseConv2D(3, name="deep")(x)
    x = keras.layers.SeparableConv2D(5, 3, name="separable")(x)
    x = keras.layers.Reshape((4, 5))(x)
    x = keras.layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    assert [each.path for each in zoo_stages.kernels_of(model)] == [
        "separable/pointwise_kernel",
        "attention/query/kernel",
        "attention/key/kernel",
        "attention/value/kernel",
        "attention/attention_output/kernel",
        "head/kernel",
    ]


def test_a_run_of_some_stages_keeps_what_is_known_of_the_others_alone():
    right, wrong = {"ok": True}, {"ok": False}
    before = {"name": "it", "seconds": 9, "build": right, "float32": right, "int8": right}
    now = {"name": "it", "seconds": 2, "build": right}  # the process ended in int8 without an answer
    assert zoo.joined(before, now, ["int8"]) == now | {"float32": right}
    failed = now | {"build": wrong}
    assert zoo.joined(before, failed, ["int8"]) == failed


def test_the_page_has_a_row_a_model_the_counts_and_the_errors():
    right = {"ok": True, "max_lsb": 1, "reload": "equal", "zeros": 0.5, "db": 40.0}
    rows = [
        {"name": "convnet_from_scratch", "seconds": 3, **dict.fromkeys(zoo.STAGES, right)},
        {
            "name": "conv_mixer",
            "seconds": 2,
            **dict.fromkeys(zoo.STAGES, right),
            "int8": {"ok": False, "refused": True, "error": "UnsupportedModel: use a | b"},
        },
    ]
    page = zoo.page(rows)
    assert (
        "| convnet_from_scratch | yes | yes | yes | 1 | yes | 40 | 50% | yes | yes | yes | equal | 3 |"
        in page
    )
    assert "| verified int8 file without further training | 1 | 2 |" in page
    assert "| conv_mixer | yes | yes | yes | 1 | refused |" in page
    assert "`conv_mixer`, int8: UnsupportedModel: use a \\| b" in page
