"""What the callback does to the layer that it drives, whichever that is."""

import types

import pytest
import tensorflow as tf

from tfopt.pruning import Cubic
from tfopt.tfmot import callbacks
from tfopt.tfmot.callbacks import UpdatePruningStep
from tfopt.tfmot.schedules import CubicSchedule


class Driven:
    """A layer that runs a wrapped model, of one wrapper, and notes what is done to it."""

    def __init__(self):
        self.module, self.strategy, self.driven, self.masked = (
            object(),
            tf.distribute.get_strategy(),
            False,
            0,
        )
        self.updates = []
        self.wrapper = types.SimpleNamespace(
            pruning_schedule=CubicSchedule(Cubic(begin=0.0, end=0.5), 0.75),
            pruning_step=tf.Variable(3, dtype="int64"),
            pruning_obj=types.SimpleNamespace(conditional_mask_update=self._update),
        )

    def _update(self):
        self.updates.append(int(self.wrapper.pruning_step))

    def apply_masks(self):
        self.masked += 1


@pytest.fixture
def driven(monkeypatch):
    layer = Driven()
    monkeypatch.setattr(callbacks, "wrappers", lambda module: [layer.wrapper])
    inner = types.SimpleNamespace(set_model=lambda _: None, on_train_begin=lambda: None)
    keras = types.SimpleNamespace(UpdatePruningStep=lambda: inner)
    monkeypatch.setattr(
        callbacks, "tfmot", lambda: types.SimpleNamespace(sparsity=types.SimpleNamespace(keras=keras))
    )
    return layer


def test_schedules_are_told_the_steps_of_the_training(driven):
    callback = UpdatePruningStep(driven)
    callback.set_params({"steps": 5, "epochs": 4})
    callback.on_train_begin()
    assert driven.driven
    assert driven.wrapper.pruning_schedule.ended(tf.Variable(10))
    assert not driven.wrapper.pruning_schedule.ended(tf.Variable(9))


@pytest.mark.parametrize(("done", "ended"), [(9, False), (10, True)])
def test_what_has_come_to_its_end_trains_on_by_itself(driven, done, ended):
    callback = UpdatePruningStep(driven)
    callback.set_params({"steps": 5, "epochs": 4})
    callback.on_train_begin()
    driven.wrapper.pruning_step.assign(done)
    callback.on_train_end()
    assert driven.updates == [done + 1]
    assert int(driven.wrapper.pruning_step) == done
    assert driven.masked == 2
    assert driven.driven is ended
