"""Schedules by which pruned weights come back, in a training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tests.at_length import some
from tests.callbacks.small_pruned import LOSS, data, fit, pruned_model
from tfopt.callbacks import PruningSchedule
from tfopt.errors import InvalidArgumentError
from tfopt.pruning import ConstantSparsity, Cubic, OneShot, RigL
from tfopt.pruning.masks import masked


class _Watch(keras.callbacks.Callback):
    """Keeps masks and weights after each step."""

    def __init__(self):
        super().__init__()
        self.masks, self.weights, self.all_weights = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.masks.append([entry.mask.value for entry in masked(self.model)])
        self.weights.append([entry.weights for entry in masked(self.model)])
        self.all_weights.append(self.model.get_weights())


@pytest.mark.parametrize(
    "schedule", [Cubic(frequency=3, regrow=True), ConstantSparsity(frequency=3), RigL(frequency=3)]
)
def test_weights_come_back_and_the_sparsity_is_what_was_asked(schedule):
    model, watch = pruned_model(schedule, 0.4, keras.optimizers.Adam(0.2)), _Watch()
    fit(model, PruningSchedule(), watch, epochs=4)
    back = sum(
        np.count_nonzero(new & ~old)
        for before, after in zip(watch.masks, watch.masks[1:], strict=False)
        for old, new in zip(before, after, strict=True)
    )
    assert back
    for masks, weights in zip(watch.masks, watch.weights, strict=True):
        assert all(not weight[~mask].any() for mask, weight in zip(masks, weights, strict=True))
    assert [np.count_nonzero(~entry.mask.value) for entry in masked(model)] == [77, 64]
    assert all(entry.mask.plan is None for entry in masked(model))
    fit(model)  # needs the callback no more


def _gradients(weights, x, y):
    """Return the gradients of the loss of one batch with respect to the kernels."""
    model = _plain()
    model.set_weights(weights)
    kernels = [layer.kernel.value for layer in model.layers]
    with tf.GradientTape() as tape:
        loss = LOSS(y, model(x, training=True))
    return [gradient.numpy() for gradient in tape.gradient(loss, kernels)]


def _moved(weights, gradients, mask, fraction):
    """RigL as its paper puts it, by sorting."""
    live = np.flatnonzero(mask)
    count = min(int(fraction * live.size), mask.size - live.size)
    kept = live[np.argsort(np.abs(weights.ravel()[live]))][count:]
    others = np.setdiff1d(np.arange(mask.size), kept)
    grown = others[np.argsort(-np.abs(gradients.ravel()[others]))][:count]
    new = np.zeros(mask.size, bool)
    new[[*kept, *grown]] = True
    return new.reshape(mask.shape)


def test_rigl_drops_the_smallest_and_grows_the_steepest():
    schedule = RigL(begin=0, end=20, frequency=5, fraction=0.5)
    model, watch = pruned_model(schedule, 0.5, keras.optimizers.SGD(0.05)), _Watch()
    fit(model, PruningSchedule(), watch, epochs=4)
    (x, y), changed = data(), 0
    for step in range(1, 24):
        before, after = watch.masks[step - 1], watch.masks[step]
        if (step + 1) % 5 or step + 1 >= 20:
            for old, new in zip(before, after, strict=True):
                np.testing.assert_array_equal(old, new)
            continue
        batch = slice(step % 6 * 8, step % 6 * 8 + 8)
        gradients = _gradients(watch.all_weights[step - 1], x[batch], y[batch])
        for place, (old, gradient) in enumerate(zip(before, gradients, strict=True)):
            weights = (watch.weights[step - 1][place] - 0.05 * gradient) * old
            expected = _moved(weights, gradient, old, schedule.fraction_at(step + 1, None))
            np.testing.assert_array_equal(after[place], expected)
            changed += np.count_nonzero(expected & ~old)
            assert not watch.weights[step][place][expected & ~old].any()  # they start at zero
    assert changed > 30


def test_rigl_waits_for_an_update_where_gradients_are_accumulated():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    model, watch = pruned_model(RigL(begin=0, end=20, frequency=3), 0.5, optimizer), _Watch()
    fit(model, PruningSchedule(), watch, epochs=4)
    moved = [
        step
        for step in range(1, 24)
        if not all(map(np.array_equal, watch.masks[step - 1], watch.masks[step]))
    ]
    assert moved
    assert all((step + 1) % 4 == 0 for step in moved)


@pytest.mark.parametrize(
    "schedule",
    [Cubic(begin=2, end=20, frequency=3, regrow=True), ConstantSparsity(begin=0, end=20, frequency=3)],
)
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_fit_that_is_resumed_ends_as_if_it_had_not_been(tmp_path, schedule, epoch):
    """BackupAndRestore keeps weights and optimizer alone: the masks come from the zeros."""

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, now, logs=None):
            if now == epoch:
                raise KeyboardInterrupt

    whole = pruned_model(schedule)
    fit(whole, PruningSchedule(), epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fit(
            pruned_model(schedule),
            PruningSchedule(),
            keras.callbacks.BackupAndRestore(tmp_path),
            Kill(),
            epochs=4,
        )
    resumed = pruned_model(schedule)
    fit(resumed, PruningSchedule(), keras.callbacks.BackupAndRestore(tmp_path), epochs=4)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


_BY_GRADIENTS = {
    "RigL": {"schedule": RigL(frequency=4)},
    "regrown": {"schedule": Cubic(frequency=4, regrow=True)},
    "movement": {"schedule": Cubic(frequency=4), "criterion": "movement"},
    "taylor": {"schedule": OneShot(), "criterion": "taylor", "distribution": "global"},
}


@pytest.mark.parametrize("name", some(_BY_GRADIENTS, ["RigL"]))
def test_two_devices_make_the_zeros_of_one(two_devices, name):
    x, y = data()
    models = []
    for strategy in (None, two_devices):
        keras.utils.set_random_seed(0)
        if strategy is None:
            model = _plain()
        else:
            with strategy.scope():
                model = _plain()
        model = tfopt.prune(model, 0.8, **_BY_GRADIENTS[name])
        with model.distribute_strategy.scope():
            model.compile(keras.optimizers.SGD(0.1, momentum=0.9), LOSS)
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[PruningSchedule()])
        models.append(model)
    for one, two in zip(masked(models[0]), masked(models[1]), strict=True):
        np.testing.assert_array_equal(one.mask.value, two.mask.value)
        np.testing.assert_allclose(one.weights, two.weights, atol=1e-6)


def _plain():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, "relu", name="hidden"),
            keras.layers.Dense(10, name="head"),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RigL", "movement"])
@pytest.mark.parametrize("compiled", [{"jit_compile": True}, {"run_eagerly": True}])
def test_gradients_are_summed_however_the_step_is_compiled(name, compiled):
    models = []
    for how in ({}, compiled):
        model = pruned_model(sparsity=0.8, compiled=how, **_BY_GRADIENTS[name])
        fit(model, PruningSchedule(), epochs=2)
        models.append(model)
    for one, two in zip(*map(masked, models), strict=True):
        assert np.mean(one.mask.value == two.mask.value) > 0.98  # XLA rounds otherwise


def test_single_steps_are_needed_and_the_advice_works():
    model = pruned_model(ConstantSparsity(frequency=2), compiled={"steps_per_execution": 2})
    with pytest.raises(InvalidArgumentError, match="steps_per_execution=1"):
        fit(model, PruningSchedule())
    model.compile("sgd", LOSS, steps_per_execution=1)
    fit(model, PruningSchedule())


def test_validation_sees_masked_weights():
    class Check(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            for entry in masked(self.model):
                assert not entry.mask.value.all()
                assert not entry.weights[~entry.mask.value].any()

    fit(
        pruned_model(Cubic(begin=0, end=20, frequency=1, regrow=True)),
        PruningSchedule(),
        Check(),
        epochs=4,
        validation_data=data(),
    )
