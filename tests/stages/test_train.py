import pytest

from tfopt import stages
from tfopt.errors import InvalidArgumentError, RunError
from tfopt.stages import Train


class Recorder:
    def fit(self, model, *, epochs, callbacks=()):
        self.call = (model, epochs, list(callbacks))


def test_it_trains_for_its_epochs():
    context, model = Recorder(), object()
    assert Train(epochs=7).apply(model, context) is model
    assert context.call == (model, 7, [])


@pytest.mark.parametrize("epochs", [0, -1, 2.5, True, None])
def test_epochs_out_of_range(epochs):
    with pytest.raises(InvalidArgumentError, match="a whole number >= 1"):
        Train(epochs=epochs)


def test_config_round_trip():
    config = Train(epochs=3).get_config()
    assert config == {"class": "Train", "epochs": 3, "teacher": None}
    assert stages.from_config(config, {"Train": Train}) == Train(epochs=3)
    with pytest.raises(RunError, match="Unknown stage 'Fly'; known are Train"):
        stages.from_config({"class": "Fly"}, {"Train": Train})
