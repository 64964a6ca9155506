"""Keras's reduction on a plateau is unchanged; the warm-up comes before it."""

import copy

import keras
import numpy as np
import pytest

from tfopt.callbacks import ReduceOnPlateau
from tfopt.errors import InvalidArgumentError

LOSSES = [5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2]


class Says(keras.callbacks.Callback):
    """Puts a value of its own into the logs, and notes the rate of each update."""

    def __init__(self, values):
        super().__init__()
        self.values, self.rates = values, []

    def on_train_batch_end(self, batch, logs=None):
        # Stands first in the list, so it sees what the update used.
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))

    def on_epoch_end(self, epoch, logs=None):
        logs["said"] = self.values[epoch]


def model_with(optimizer=None, **compile_arguments):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer or keras.optimizers.SGD(0.5), "mse", **compile_arguments)
    return model


def rates(callback, *, model=None, values=LOSSES, batches=2, initial_epoch=0):
    """The rate of each update, of `batches` an epoch."""
    says, data = Says(values), np.ones((batches, 1), "float32")
    fitted = {"epochs": len(values), "initial_epoch": initial_epoch, "batch_size": 1, "verbose": 0}
    (model or model_with()).fit(data, data, callbacks=[says, callback], **fitted)
    return says.rates


@pytest.mark.parametrize(("patience", "cooldown"), [(1, 0), (2, 1), (2, 3), (0, 0)])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_without_a_warm_up_it_is_keras(patience, cooldown, mode):
    arguments = {"monitor": "said", "factor": 0.5, "patience": patience, "cooldown": cooldown, "mode": mode}
    values = LOSSES if mode == "min" else [-loss for loss in LOSSES]
    expected = rates(keras.callbacks.ReduceLROnPlateau(**arguments, min_lr=0.01), values=values)
    assert rates(ReduceOnPlateau(**arguments, min_lr=0.01), values=values) == expected
    assert expected[-1] < 0.5


def test_warm_up_then_the_plateau_of_the_epochs_after_it():
    warming = {"warmup_steps": 5, "initial_learning_rate": 0.1}
    callback = ReduceOnPlateau("said", 0.5, patience=2, mode="min", **warming)
    # Epoch 2 begins before update 5, so the best is first set in epoch 3, and epochs 4 and 5 are without.
    seen = rates(callback, values=[1, 1, 1, 9, 9, 9, 9, 9])
    assert seen == pytest.approx([0.1, 0.18, 0.26, 0.34, 0.42] + [0.5] * 7 + [0.25] * 4)


def test_warm_up_by_epochs_counts_updates():
    assert rates(ReduceOnPlateau("said", warmup_epochs=2, mode="min"), values=[1] * 3, batches=4) == (
        pytest.approx([0.5 * step / 8 for step in range(8)] + [0.5] * 4)
    )
    model = model_with(keras.optimizers.SGD(0.5, gradient_accumulation_steps=2))
    callback = ReduceOnPlateau("said", warmup_epochs=2, mode="min")
    assert rates(callback, model=model, values=[1] * 3, batches=4) == (
        pytest.approx([0.5 * (batch // 2) / 4 for batch in range(8)] + [0.5] * 4)
    )


def test_a_resumed_training_warms_up_once():
    callback, model = ReduceOnPlateau("said", warmup_steps=4, mode="min"), model_with()
    rates(callback, model=model, values=[1, 1])
    assert rates(callback, model=model, values=[1] * 3, initial_epoch=2) == [0.5, 0.5]
    model = model_with()
    rates(callback, model=model, values=[1])
    with pytest.raises(InvalidArgumentError, match=r"2 of its 4 updates.*give peak_learning_rate"):
        rates(callback, model=model, values=[1] * 3, initial_epoch=1)
    callback = ReduceOnPlateau("said", warmup_steps=4, mode="min", peak_learning_rate=0.5)
    assert rates(callback, model=model, values=[1] * 3, initial_epoch=1) == [0.25, 0.375, 0.5, 0.5]


def test_can_be_used_again_in_either_direction():
    callback = ReduceOnPlateau("said", 0.5, patience=1, mode="max", min_delta=0.4)
    first = rates(copy.deepcopy(callback), values=[1, 2, 2, 2])
    assert rates(callback, values=[1, 2, 2, 2]) == first
    assert rates(callback, values=[1, 2, 2, 2]) == first
    assert callback.get_config()["min_delta"] == 0.4
    assert ReduceOnPlateau(**callback.get_config()).get_config() == callback.get_config()


def test_logs_the_rate_in_the_warm_up_too():
    data = np.ones((4, 1), "float32")
    callback = ReduceOnPlateau("loss", warmup_epochs=2)
    history = model_with().fit(data, data, epochs=3, batch_size=2, verbose=0, callbacks=[callback]).history
    assert history["learning_rate"] == pytest.approx([0.125, 0.5, 0.5])


def test_unknown_number_of_steps():
    def endless():
        while True:
            yield np.ones((1, 1)), np.ones((1, 1))

    with pytest.raises(InvalidArgumentError, match="give warmup_steps instead"):
        model_with().fit(endless(), verbose=0, callbacks=[ReduceOnPlateau("loss", warmup_epochs=2)])


def test_the_log_tells_of_a_reduction(caplog):
    with caplog.at_level("INFO", "tfopt.callbacks.reduce_on_plateau"):
        model = model_with(keras.optimizers.SGD(0.5, name="sgd"))
        rates(ReduceOnPlateau("said", factor=0.5, patience=2, mode="min"), model=model, values=[3, 3, 3, 2])
    (record,) = (record for record in caplog.records if record.name.startswith("tfopt"))
    assert record.getMessage() == "Epoch 2: no better said; learning rate of sgd reduced from 0.5 to 0.25"
