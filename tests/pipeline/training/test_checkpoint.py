import keras
import numpy as np
import pytest

from tfopt.errors import RunError
from tfopt.pipeline.training import checkpoint


def model(units=3):
    inputs = keras.Input((4,))
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(units, kernel_constraint="non_neg")(inputs))
    made = keras.Model(inputs, keras.layers.Dense(2)(x))
    made.compile("adam", "mse")
    made.optimizer.build(made.trainable_variables)
    return made


def write(path, of, callbacks=()):
    checkpoint.write(path, of, callbacks, epoch=2, stopped=False, seconds=1.5, history={"loss": [2.0, 1.0]})


def test_everything_comes_back(tmp_path):
    x, y = np.ones((8, 4)), np.ones((8, 2))
    before = model()
    stopping = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    before.fit(x, y, epochs=2, callbacks=[stopping], verbose=0)
    write(tmp_path / "c.npz", before, [stopping])

    found = checkpoint.Checkpoint.read(tmp_path / "c.npz")
    assert (found.epoch, found.stopped, found.seconds, found.history) == (2, False, 1.5, {"loss": [2.0, 1.0]})
    after, fresh = model(), keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    found.restore(after, [fresh])
    for a, b in zip(
        before.variables + before.optimizer.variables,
        after.variables + after.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert fresh.best == stopping.best
    np.testing.assert_array_equal(fresh.best_weights[0], stopping.best_weights[0])
    # The dropout of the next step is the same: the state of its generator came back too.
    assert before.train_on_batch(x, y) == after.train_on_batch(x, y)


def test_bfloat16_comes_back(tmp_path):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        before, after = model(), model()
    finally:
        keras.config.set_dtype_policy(policy)
    write(tmp_path / "c.npz", before)
    checkpoint.Checkpoint.read(tmp_path / "c.npz").restore(after, [])
    for a, b in zip(before.get_weights(), after.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_checkpoint_a_damaged_one_and_one_of_another_model(tmp_path):
    path = tmp_path / "c.npz"
    assert checkpoint.Checkpoint.read(path) is None
    write(path, model())
    with pytest.raises(RunError, match="of another model"):
        checkpoint.Checkpoint.read(path).restore(model(units=4), [])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RunError, match="is damaged"):
        checkpoint.Checkpoint.read(path)
