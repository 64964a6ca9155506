"""Pruning that is killed inside its stage ends as if it had not been, whatever it keeps while it trains."""

import keras
import numpy as np
import pytest

import tfopt
from tests.at_length import some
from tfopt.callbacks import PruningSchedule
from tfopt.pruning.masks import masked
from tfopt.stages import prune

KINDS = {
    "rigl": {"schedule": "rigl", "frequency": 3},
    "regrow": {"regrow": True, "frequency": 3},
    "constant": {"schedule": "constant", "frequency": 3},
    "movement": {"criterion": "movement", "frequency": 5},
    "taylor": {"criterion": "taylor", "frequency": 5, "distribution": "global"},
    "lottery ticket": {"schedule": "lottery_ticket", "rounds": 2, "rewind_epochs": 1},
}


class _Killed(BaseException):
    """As if the process had died."""


def _model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(16, "relu", name="hidden")(inputs)
    x = keras.layers.Dropout(0.1)(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head")(x))
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    return model


def _data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 6)).astype("float32")
    return tfopt.data.from_arrays(x, np.argmax(x[:, :3], axis=1))


@pytest.mark.parametrize("kind", some(KINDS, ["movement"]))
def test_it_ends_as_if_it_had_not_been_killed(kind, tmp_path, monkeypatch):
    pipeline = tfopt.Pipeline([tfopt.Prune(0.6, epochs=4, **KINDS[kind])])

    def run(out):
        return pipeline.run(_model(), _data(), out=tmp_path / out, batch_size=16, quiet=True)

    whole = run("whole")

    class Dies(PruningSchedule):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise _Killed
            super().on_epoch_begin(epoch, logs)

    with monkeypatch.context() as patched:
        patched.setattr(prune, "PruningSchedule", Dies)
        with pytest.raises(_Killed):
            run("killed")
    again = run("killed")
    for a, b in zip(whole.model().get_weights(), again.model().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(masked(whole.model()), masked(again.model()), strict=True):
        np.testing.assert_array_equal(a.mask.value, b.mask.value)
    assert tfopt.measure.sparsity(again.model()) == pytest.approx(0.6, abs=0.02)
