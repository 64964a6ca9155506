"""What GradientMonitor and GradientClipping add to a training step, as ratios to the step without them.

All contestants take turns in one process, batch by batch, so that a busy machine slows all alike. A step at
which the monitor measures layers costs more than the others: the ratio is that of an average step at its
default interval, from the lower quartiles of both kinds: other work on the machine only ever adds.

    python benchmarks/gradient_monitor.py [--rounds 20]
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import tfopt

Callbacks = Callable[[int], list[keras.callbacks.Callback]]

BASELINE = "neither"
MEASURED_EVERY = 4
"""The interval while timing, so that both kinds of steps come often."""
CONTESTANTS: dict[str, Callbacks] = {
    BASELINE: lambda _: [],
    "GradientMonitor()": lambda interval: [tfopt.callbacks.GradientMonitor(interval)],
    'GradientClipping("global_norm")': lambda _: [tfopt.callbacks.GradientClipping("global_norm")],
    'GradientClipping("autoclip")': lambda _: [tfopt.callbacks.GradientClipping("autoclip")],
    "global_norm and GradientMonitor()": lambda interval: [
        tfopt.callbacks.GradientClipping("global_norm"),
        tfopt.callbacks.GradientMonitor(interval),
    ],
}


def small_cnn() -> keras.Model:
    """Return a classifier of 28x28 pictures with 14,666 parameters in 8 variables."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def mobilenet() -> keras.Model:
    """Return MobileNetV2 of width 0.35 for 96x96 pictures: 0.4 M parameters in 158 variables."""
    return keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10)


MODELS = {"small CNN": small_cnn, "MobileNetV2 0.35 at 96": mobilenet}


class Contestant:
    """A model that trains with some callbacks."""

    def __init__(self, make: Callable[[], keras.Model], callbacks: Callbacks, batch_size: int) -> None:
        keras.utils.set_random_seed(0)
        self.model = make()
        self.model.compile("adam", "sparse_categorical_crossentropy")
        self.x = np.random.default_rng(0).random((batch_size, *self.model.input_shape[1:]), "float32")
        self.y = np.zeros(batch_size, "int32")
        self.callbacks = keras.callbacks.CallbackList(callbacks(MEASURED_EVERY), model=self.model)
        self.callbacks.on_train_begin()
        self.callbacks.on_epoch_begin(0)
        self.steps = 0
        self.times: dict[bool, list[float]] = {True: [], False: []}

    def train(self) -> None:
        """Train on one batch and note the time by whether the monitor measures layers at it."""
        start = time.perf_counter()
        self.model.train_on_batch(self.x, self.y)
        self.callbacks.on_train_batch_end(self.steps, {})
        elapsed = time.perf_counter() - start
        self.times[self.steps % MEASURED_EVERY == 0].append(elapsed)
        self.steps += 1

    def average(self, interval: int) -> float:
        """Return the seconds of an average step where layers are measured at every `interval`-th."""
        measuring, other = (statistics.quantiles(self.times[kind])[0] for kind in (True, False))
        return other + (measuring - other) / interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="steps with measured layers that are timed")
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    interval = tfopt.callbacks.GradientMonitor().interval
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}; batches of {arguments.batch_size}")
    print(f"{'':40}{'step':>8}{'':>10}{'at each update':>16}")
    print(f"{'':40}{'ratio':>8}{'ms':>10}{'ratio':>16}")
    for name, make in MODELS.items():
        contestants = {
            key: Contestant(make, callbacks, arguments.batch_size) for key, callbacks in CONTESTANTS.items()
        }
        order = list(contestants.values())
        for number in range(MEASURED_EVERY * (arguments.rounds + 1)):
            # Whoever comes first after a larger one finds less of its own in the caches.
            random.Random(number).shuffle(order)
            for contestant in order:
                contestant.train()
                if number + 1 == MEASURED_EVERY:  # the first ones traced
                    contestant.times = {True: [], False: []}
        print(name)
        base = contestants[BASELINE].average(interval)
        for key, contestant in contestants.items():
            step, each = contestant.average(interval), contestant.average(1)
            print(f"  {key:38}{step / base:8.3f}{1e3 * step:10.2f}{each / base:16.3f}")


if __name__ == "__main__":
    main()
