import time

import keras
import numpy as np
import tensorflow as tf

from tfopt.pipeline.training.data_wait import DataWait


def share(seconds_a_batch, seconds_a_step):
    def slowly(_):
        time.sleep(seconds_a_batch)
        return np.zeros((8, 4), np.float32)

    def batch(index):
        x = tf.ensure_shape(tf.numpy_function(slowly, [index], tf.float32), (8, 4))
        return x, tf.zeros((8, 1))

    class Slow(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            time.sleep(seconds_a_step)

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    wait = DataWait()
    batches = wait.timed(tf.data.Dataset.range(100).map(batch).prefetch(2))
    model.fit(batches, steps_per_epoch=15, epochs=2, callbacks=[Slow(), wait], verbose=0, shuffle=False)
    return wait.share


def test_the_share_tells_slow_data_from_slow_steps():
    assert share(0.0, 0.04) < 0.2 < share(0.1, 0.0)


def test_the_batches_stay_what_they_are():
    batches = tf.data.Dataset.from_tensor_slices((np.arange(9), {"a": np.arange(9) * 2})).batch(4)
    for (x, y), (u, v) in zip(DataWait().timed(batches), batches, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y["a"], v["a"])


def test_without_a_training_there_is_no_share():
    wait = DataWait()
    assert wait.share is None
    wait.timed(tf.data.Dataset.range(3))
    assert wait.share is None
