import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.callbacks.pruning_schedule import PruningSchedule
from tfopt.errors import InvalidArgumentError
from tfopt.pruning import Cubic
from tfopt.pruning.masks import masked

_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
_STEPS = 6  # an epoch


def _data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 12)).astype("float32"), rng.integers(0, 10, 48)


def _model(schedule=None, sparsity=0.8, optimizer=None, **arguments):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, "relu", name="hidden"),
            keras.layers.Dense(10, name="head"),
        ]
    )
    model = tfopt.prune(model, sparsity, schedule=schedule, **arguments)
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), _LOSS)
    return model


def _fit(model, *callbacks, **arguments):
    x, y = _data()
    return model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=list(callbacks), **arguments)


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
    model = _model(schedule)
    history = _fit(model, PruningSchedule(), record, epochs=4).history
    expected = [schedule.sparsity_at(step, None, 0.8) for step in range(4 * _STEPS)]
    np.testing.assert_allclose(record.sparsities, expected, atol=1 / 160)
    np.testing.assert_allclose(history["sparsity"], expected[5::_STEPS], atol=1 / 160)
    for entry in masked(model):
        assert np.count_nonzero(~entry.mask.value) == int(0.8 * entry.weights.size + 0.5)
        assert not entry.weights[~entry.mask.value].any()


def test_masks_are_set_by_the_weights_of_that_moment():
    model = _model(Cubic(frequency=1))
    before = masked(tfopt.prune(_model(sparsity=0.0), 0.8))
    _fit(model, PruningSchedule(), epochs=6)
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

    _fit(_model(Cubic(frequency=2)), PruningSchedule(), Watch(), epochs=4)


def test_global_scope_shares_one_threshold_at_every_rise():
    model = _model(Cubic(frequency=2), scope="global")
    _fit(model, PruningSchedule(), epochs=4)
    pruned = [np.count_nonzero(~entry.mask.value) for entry in masked(model)]
    assert sum(pruned) == int(0.8 * (12 * 16 + 16 * 10) + 0.5)
    assert pruned != [154, 128]


def test_rules_hold_while_training():
    model = _model(Cubic(frequency=2), rules={"head": 0.5})
    _fit(model, PruningSchedule(), epochs=4)
    assert [np.count_nonzero(~entry.mask.value) for entry in masked(model)] == [154, 80]


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_killed_fit_that_is_resumed_ends_as_if_it_had_not_been(tmp_path, scope, epoch):
    """BackupAndRestore keeps weights and optimizer alone: the masks come from the zeros."""
    schedule = Cubic(begin=2, end=20, frequency=5)  # no rise falls on the beginning of an epoch
    uninterrupted = _model(schedule, scope=scope)
    _fit(uninterrupted, PruningSchedule(), epochs=5)
    with pytest.raises(_Killed):
        _fit(
            _model(schedule, scope=scope),
            PruningSchedule(),
            keras.callbacks.BackupAndRestore(tmp_path),
            _Kill(epoch),
            epochs=5,
        )
    resumed = _model(schedule, scope=scope)
    _fit(resumed, PruningSchedule(), keras.callbacks.BackupAndRestore(tmp_path), epochs=5)
    for a, b in zip(uninterrupted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(masked(uninterrupted), masked(resumed), strict=True):
        np.testing.assert_array_equal(a.mask.value, b.mask.value)


def test_a_saved_model_knows_its_schedule_and_goes_on(tmp_path):
    whole, model = _model(Cubic(end=20, frequency=5)), _model(Cubic(end=20, frequency=5))
    _fit(whole, PruningSchedule(), epochs=5)
    _fit(model, PruningSchedule(), epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    _fit(loaded, PruningSchedule(), initial_epoch=2, epochs=5)
    for a, b in zip(whole.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_fit_that_has_only_to_end_ends_with_the_final_sparsity():
    model = _model(Cubic())
    _fit(model, PruningSchedule(), initial_epoch=3, epochs=3)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.8, abs=0.01)


def test_once_finished_the_model_trains_without_the_callback():
    model = _model(Cubic(frequency=2))
    _fit(model, PruningSchedule(), epochs=2)
    sparsity = tfopt.measure.sparsity(model)
    _fit(model)
    assert tfopt.measure.sparsity(model) == sparsity


def test_averages_that_overwrite_the_weights_at_the_end_lose_no_zero():
    for schedule in (None, Cubic(frequency=2)):
        model = _model(schedule, optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))
        _fit(model, PruningSchedule(), epochs=2)
        for entry in masked(model):
            assert not entry.weights[~entry.mask.value].any()
            assert np.count_nonzero(~entry.mask.value) == int(0.8 * entry.weights.size + 0.5)


def test_a_forgotten_callback_is_an_error_that_says_what_to_do():
    model = _model(Cubic())
    with pytest.raises(InvalidArgumentError, match=r"compile it again.*PruningSchedule\(\)"):
        _fit(model)
    model.compile("sgd", _LOSS)
    _fit(model, PruningSchedule(), epochs=2)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.8, abs=0.01)


def test_going_on_without_the_callback_before_the_end_is_an_error_too():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model = _model(Cubic())
    _fit(model, PruningSchedule(), Stop(), epochs=4)
    with pytest.raises(InvalidArgumentError, match="PruningSchedule"):
        _fit(model)
    kept = tfopt.prune(model, 0.0)
    kept.compile("sgd", _LOSS)
    _fit(kept)
    assert 0 < tfopt.measure.sparsity(kept) == tfopt.measure.sparsity(model) < 0.8


def test_a_model_that_is_not_pruned_is_an_error():
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(10)])
    model.compile("sgd", _LOSS)
    with pytest.raises(InvalidArgumentError, match=r"tfopt\.prune"):
        _fit(model, PruningSchedule())


def _batches():
    x, y = _data()
    for start in range(0, 48, 8):
        yield x[start : start + 8], y[start : start + 8]


def _of_unknown_length():
    return tf.data.Dataset.from_generator(
        _batches, output_signature=(tf.TensorSpec((None, 12)), tf.TensorSpec((None,), tf.int64))
    )


def test_a_schedule_in_steps_needs_no_known_length():
    record, known = _Record(), _Record()
    _model(schedule := Cubic(begin=3, end=15, frequency=4)).fit(
        _of_unknown_length(), epochs=3, verbose=0, callbacks=[PruningSchedule(), record]
    )
    _fit(_model(schedule), PruningSchedule(), known, epochs=3)
    assert record.sparsities == known.sparsities
    assert len(record.sparsities) == 3 * _STEPS


def test_what_cannot_be_known_is_an_error():
    with pytest.raises(InvalidArgumentError, match="steps_per_epoch"):
        _model(Cubic()).fit(_of_unknown_length(), verbose=0, callbacks=[PruningSchedule()])
    with pytest.raises(InvalidArgumentError, match=r"epoch 2.*steps_per_epoch"):
        _model(Cubic(begin=0, end=9)).fit(
            _of_unknown_length(), initial_epoch=2, epochs=3, verbose=0, callbacks=[PruningSchedule()]
        )


def test_it_can_be_copied_before_fit():
    """keras-tuner copies callbacks for every trial."""
    model = _model(Cubic(frequency=2))
    _fit(model, copy.deepcopy(PruningSchedule()), epochs=2)
    assert tfopt.measure.sparsity(model) == pytest.approx(0.8, abs=0.01)


def test_the_log_tells_of_each_rise_and_of_the_end(caplog):
    model = _model(Cubic(begin=0, end=4, frequency=2))
    with caplog.at_level("DEBUG", "tfopt.callbacks.pruning_schedule"):
        _fit(model, PruningSchedule(), epochs=2)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("tfopt")]
    assert said == [
        "Step 0: sparsity raised to 0",
        "Step 2: sparsity raised to 0.7",
        "Step 4: sparsity raised to 0.8",
        "hidden has its final sparsity of 0.8",
        "head has its final sparsity of 0.8",
    ]
