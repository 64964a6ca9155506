"""Updates in one of Keras's own optimizers."""

import keras
import numpy as np
import tensorflow as tf

from tfopt.schedules import Linear, Updates


def test_keras_follows_the_schedule_by_updates():
    plain = Linear(1.0, decay_steps=4)
    schedule = Updates(plain, gradient_accumulation_steps=3)
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = keras.optimizers.SGD(schedule, gradient_accumulation_steps=3)
    optimizer.build([variable])
    positions = []
    for _ in range(12):
        optimizer.apply([tf.ones(1)])
        positions.append(float(variable.numpy()[0]))
    # The updates take the rates 1, 3/4, 1/2 and 1/4.
    np.testing.assert_allclose(positions[2::3], -np.cumsum(plain(np.arange(4))), rtol=1e-6)
    np.testing.assert_allclose(positions[:2], 0.0)
