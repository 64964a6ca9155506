import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tests.callbacks.small_pruned import LOSS, data, fit, pruned_model
from tfopt.callbacks.pruning_schedule import PruningSchedule
from tfopt.errors import InvalidArgumentError
from tfopt.pruning import Cubic
from tfopt.pruning.masks import masked

_STEPS = 6  # an epoch


class _Record(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.sparsities = []

    def on_train_batch_end(self, batch, logs=None):
        self.sparsities.append(tfopt.measure.sparsity(self.model))


class _Killed(Exception):
    pass


class _Kill(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise _Killed


def test_the_sparsity_follows_the_schedule_step_by_step():
    schedule, record = Cubic(begin=3, end=15, initial_sparsity=0.25, frequency=4), _Record()
    model = pruned_model(schedule)
    history = fit(model, PruningSchedule(), record, epochs=4).history
    expected = [schedule.sparsity_at(step, None, 0.8) for step in range(4 * _STEPS)]
    np.testing.assert_allclose(record.sparsities, expected, atol=1 / 160)
    np.testing.assert_allclose(history["sparsity"], expected[5::_STEPS], atol=1 / 160)
    for entry in masked(model):
        assert np.count_nonzero(~entry.mask.value) == int(0.8 * entry.weights.size + 0.5)
        assert not entry.weights[~entry.mask.value].any()


def test_masks_are_set_by_the_weights_of_that_moment():
    model = pruned_model(Cubic(frequency=1))
    before = masked(tfopt.prune(pruned_model(sparsity=0.0), 0.8))
    fit(model, PruningSchedule(), epochs=6)
    assert any(
        not np.array_equal(a.mask.value, b.mask.value) for a, b in zip(before, masked(model), strict=True)
    )


def test_zeros_stay_zero_while_the_sparsity_rises():
    class Watch(keras.callbacks.Callback):
        alive = None

        def on_train_batch_end(self, batch, logs=None):
            alive = [entry.mask.value for entry in masked(self.model)]
            for old, new in zip(self.alive or alive, alive, strict=True):
                assert not new[~old].any()
            self.alive = alive

    fit(pruned_model(Cubic(frequency=2)), PruningSchedule(), Watch(), epochs=4)


def test_global_scope_shares_one_threshold_at_every_rise():
    model = pruned_model(Cubic(frequency=2), scope="global")
    fit(model, PruningSchedule(), epochs=4)
    pruned = [np.count_nonzero(~entry.mask.value) for entry in masked(model)]
    assert sum(pruned) == int(0.8 * (12 * 16 + 16 * 10) + 0.5)
    assert pruned != [154, 128]


def test_rules_hold_while_training():
    model = pruned_model(Cubic(frequency=2), rules={"head": 0.5})
    fit(model, PruningSchedule(), epochs=4)
    assert [np.count_nonzero(~entry.mask.value) for entry in masked(model)] == [154, 80]


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_killed_fit_that_is_resumed_ends_as_if_it_had_not_been(tmp_path, scope, epoch):
    """BackupAndRestore keeps weights and optimizer alone: the masks come from the zeros."""
    schedule = Cubic(begin=2, end=20, frequency=5)  # no rise falls on the beginning of an epoch
    uninterrupted = pruned_model(schedule, scope=scope)
    fit(uninterrupted, PruningSchedule(), epochs=5)
    with pytest.raises(_Killed):
        fit(
            pruned_model(schedule, scope=scope),
            PruningSchedule(),
            keras.callbacks.BackupAndRestore(tmp_path),
            _Kill(epoch),
            epochs=5,
        )
    resumed = pruned_model(schedule, scope=scope)
    fit(resumed, PruningSchedule(), keras.callbacks.BackupAndRestore(tmp_path), epochs=5)
    for a, b in zip(uninterrupted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(masked(uninterrupted), masked(resumed), strict=True):
        np.testing.assert_array_equal(a.mask.value, b.mask.value)


def test_a_saved_model_knows_its_schedule_and_goes_on(tmp_path):
    whole, model = pruned_model(Cubic(end=20, frequency=5)), pruned_model(Cubic(end=20, frequency=5))
    fit(whole, PruningSchedule(), epochs=5)
    fit(model, PruningSchedule(), epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(loaded, PruningSchedule(), initial_epoch=2, epochs=5)
    for a, b in zip(whole.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_fit_that_has_only_to_end_ends_with_the_final_sparsity():
    model = pruned_model(Cubic())
    fit(model, PruningSchedule(), initial_epoch=3, epochs=3)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.8, abs=0.01)


def test_once_finished_the_model_trains_without_the_callback():
    model = pruned_model(Cubic(frequency=2))
    fit(model, PruningSchedule(), epochs=2)
    sparsity = tfopt.measure.sparsity(model)
    fit(model)
    assert tfopt.measure.sparsity(model) == sparsity


def test_averages_that_overwrite_the_weights_at_the_end_lose_no_zero():
    for schedule in (None, Cubic(frequency=2)):
        model = pruned_model(schedule, optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))
        fit(model, PruningSchedule(), epochs=2)
        for entry in masked(model):
            assert not entry.weights[~entry.mask.value].any()
            assert np.count_nonzero(~entry.mask.value) == int(0.8 * entry.weights.size + 0.5)


def test_a_forgotten_callback_is_an_error_that_says_what_to_do():
    model = pruned_model(Cubic())
    with pytest.raises(InvalidArgumentError, match=r"compile it again.*PruningSchedule\(\)"):
        fit(model)
    model.compile("sgd", LOSS)
    fit(model, PruningSchedule(), epochs=2)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.8, abs=0.01)


def test_going_on_without_the_callback_before_the_end_is_an_error_too():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model = pruned_model(Cubic())
    fit(model, PruningSchedule(), Stop(), epochs=4)
    with pytest.raises(InvalidArgumentError, match="PruningSchedule"):
        fit(model)
    kept = tfopt.prune(model, 0.0)
    kept.compile("sgd", LOSS)
    fit(kept)
    assert 0 < tfopt.measure.sparsity(kept) == tfopt.measure.sparsity(model) < 0.8


def test_a_model_that_is_not_pruned_is_an_error():
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(10)])
    model.compile("sgd", LOSS)
    with pytest.raises(InvalidArgumentError, match=r"tfopt\.prune"):
        fit(model, PruningSchedule())


def _batches():
    x, y = data()
    for start in range(0, 48, 8):
        yield x[start : start + 8], y[start : start + 8]


def _of_unknown_length():
    return tf.data.Dataset.from_generator(
        _batches, output_signature=(tf.TensorSpec((None, 12)), tf.TensorSpec((None,), tf.int64))
    )


def test_a_schedule_in_steps_needs_no_known_length():
    record, known = _Record(), _Record()
    pruned_model(schedule := Cubic(begin=3, end=15, frequency=4)).fit(
        _of_unknown_length(), epochs=3, verbose=0, callbacks=[PruningSchedule(), record]
    )
    fit(pruned_model(schedule), PruningSchedule(), known, epochs=3)
    assert record.sparsities == known.sparsities
    assert len(record.sparsities) == 3 * _STEPS


def test_what_cannot_be_known_is_an_error():
    with pytest.raises(InvalidArgumentError, match="steps_per_epoch"):
        pruned_model(Cubic()).fit(_of_unknown_length(), verbose=0, callbacks=[PruningSchedule()])
    with pytest.raises(InvalidArgumentError, match=r"epoch 2.*steps_per_epoch"):
        pruned_model(Cubic(begin=0, end=9)).fit(
            _of_unknown_length(), initial_epoch=2, epochs=3, verbose=0, callbacks=[PruningSchedule()]
        )


def test_it_can_be_copied_before_fit():
    """keras-tuner copies callbacks for every trial."""
    model = pruned_model(Cubic(frequency=2))
    fit(model, copy.deepcopy(PruningSchedule()), epochs=2)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.8, abs=0.01)


def test_the_log_tells_of_each_rise_and_of_the_end(caplog):
    model = pruned_model(Cubic(begin=0, end=4, frequency=2))
    with caplog.at_level("DEBUG", "tfopt.callbacks.pruning_schedule"):
        fit(model, PruningSchedule(), epochs=2)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("tfopt")]
    assert said == [
        "Step 0: sparsity raised to 0",
        "Step 2: sparsity raised to 0.7",
        "Step 4: sparsity raised to 0.8",
        "hidden has its final sparsity of 0.8",
        "head has its final sparsity of 0.8",
    ]
