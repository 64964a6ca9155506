"""A small pruned model that trains on noise, for the callbacks of pruning."""

import keras
import numpy as np

import tfopt

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data():
    """Return 48 samples in 10 classes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 12)).astype("float32"), rng.integers(0, 10, 48)


def pruned_model(schedule=None, sparsity=0.8, optimizer=None, compiled=None, **arguments):
    """Return a compiled model of two layers, pruned as `tfopt.prune` is told."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, "relu", name="hidden"),
            keras.layers.Dense(10, name="head"),
        ]
    )
    model = tfopt.prune(model, sparsity, schedule=schedule, **arguments)
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), LOSS, **(compiled or {}))
    return model


def fit(model, *callbacks, **arguments):
    """Train in a fixed order, six steps an epoch."""
    x, y = data()
    return model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=list(callbacks), **arguments)
