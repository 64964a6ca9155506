"""Where little is removed, the file tells whether that made the model faster."""

import warnings

import keras
import pytest
from keras import layers as L

import tfopt
from tfopt.channels.planning import speed
from tfopt.errors import ConversionError
from tfopt.export.untrained import UntrainedFiles


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(16, 3, name="one")(inputs)
    x = L.Conv2D(16, 3, name="two")(x)
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(x)), name="small")


@pytest.fixture
def written(monkeypatch):
    """The models that were measured; their files take `ratio[0]` of the time of the original's."""
    models, ratio = [], [1.0]

    class Timed(UntrainedFiles):
        def measured(self, smaller):
            models.append(smaller)
            found = super().measured(smaller)
            assert found["latency"] > 0
            return found | {"latency": ratio[0] * self.original["latency"]}

    monkeypatch.setattr(speed, "UntrainedFiles", Timed)
    return models, ratio


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_file_that_is_not_faster_is_told(model, written, scheme):
    models, ratio = written
    ratio[0] = 1.25
    with pytest.warns(
        UserWarning, match=rf"'small' has 9\d%.*its {scheme} file takes 1.25 of the time"
    ) as told:
        smaller = tfopt.prune_channels(model, macs=0.95, round_to=1, scheme=scheme)
    assert [each.filename for each in told if "not faster" in str(each.message)] == [__file__]
    assert tfopt.measure.macs(models[0]) == tfopt.measure.macs(smaller)


@pytest.mark.parametrize(
    ("ratio", "measured", "budgets"),
    [
        (0.9, 1, {"macs": 0.95}),
        (1.2, 0, {"macs": 0.5}),  # much is removed
        (1.2, 0, {"macs": 0.95, "latency": 0.99}),  # which has its own measurement
    ],
)
def test_no_warning(model, written, ratio, measured, budgets):
    written[1][0] = ratio
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tfopt.prune_channels(model, **budgets, round_to=1)
    assert len(written[0]) == measured


def test_a_model_that_becomes_no_file_is_pruned_all_the_same(model, monkeypatch, caplog):
    def refuse(*_, **__):
        raise ConversionError("no such operator")

    monkeypatch.setattr(speed, "UntrainedFiles", refuse)
    with caplog.at_level("INFO", "tfopt"):
        smaller = tfopt.prune_channels(model, macs=0.95, round_to=1)
    assert tfopt.measure.macs(smaller) < tfopt.measure.macs(model)
    assert "no such operator" in caplog.text


def test_a_model_of_lookups_alone_has_nothing_that_could_be_faster():
    inputs = keras.Input((1,), dtype="int32")
    one, two = (keras.layers.Embedding(50, 16, name=name)(inputs) for name in ("one", "two"))
    model = keras.Model(inputs, keras.layers.Dot(axes=2)([one, two]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        smaller = tfopt.prune_channels(model, 0.5)
    assert smaller.count_params() == model.count_params() / 2
