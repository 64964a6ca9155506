"""Full-batch training: the loss that Adam, L-BFGS and Newton-CG reach in the same time.

Two problems: a differential equation (physics-informed network, float64) and a small network on the digits
(float32, cross-entropy with L2). Each contestant starts from the same weights; tracing is not counted.

    python benchmarks/second_order.py [--seconds 20]
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfopt

Problem = tuple[keras.Model, Any, Any]
FOREVER = 10**9


def equation() -> Problem:
    """u'' = -25 sin(5x) on [0, pi] with u(0) = u(pi) = 0; the solution is sin(5x)."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(20, "tanh", dtype="float64") for _ in range(2)]
    head = keras.layers.Dense(1, dtype="float64")
    model = keras.Sequential([keras.Input((1,), dtype="float64"), *hidden, head])
    ends = tf.constant([[0.0], [math.pi]], "float64")

    def loss(model: keras.Model, x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = model(x)
            slope = inner.gradient(u, x)
        curvature = outer.gradient(slope, x)
        residual = tf.reduce_mean((curvature + 25 * tf.sin(5 * x)) ** 2)
        return residual + 100 * tf.reduce_sum(model(ends) ** 2)

    return model, loss, tf.linspace(tf.zeros(1, "float64"), [math.pi], 128)


def digits() -> Problem:
    """Cross-entropy of a network with one hidden layer on 1,347 digits."""
    data = tfopt.data.load("digits")
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(32, "tanh", kernel_regularizer=keras.regularizers.L2(1e-4))
    head = keras.layers.Dense(10, kernel_regularizer=keras.regularizers.L2(1e-4))
    model = keras.Sequential([keras.Input(data.input_shape), keras.layers.Flatten(), hidden, head])
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(model: keras.Model, x: Any, y: Any) -> Any:
        return cross_entropy(y, model(x))

    return model, loss, (data.x_train, data.y_train)


PROBLEMS = {"differential equation": equation, "digits, 64-32-10": digits}


class Clock:
    """A callback that ends a run after some seconds, counted from its first call."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.start = seconds, math.inf
        self.losses: list[float] = []
        self.times: list[float] = []

    def __call__(self, iteration: int, loss: float, gradient_norm: float) -> None:  # noqa: ARG002
        now = time.perf_counter()
        self.start = min(self.start, now)
        self.losses.append(loss)
        self.times.append(now - self.start)
        if self.times[-1] > self.seconds:
            raise StopIteration

    def row(self) -> str:
        """Return the best loss after a quarter, half and all of the time, the iterations and seconds."""
        best = np.minimum.accumulate(self.losses)
        shares = (np.searchsorted(self.times, self.seconds * share) for share in (0.25, 0.5, 1))
        losses = [best[min(index, len(best) - 1)] for index in shares]
        shown = "".join(f"{loss:{width}.3g}" for loss, width in zip(losses, (14, 12, 12), strict=True))
        return f"{shown}{len(best):12}{self.times[-1]:8.1f}"


def full_batch(trainer: tfopt.trainers.LBFGS | tfopt.trainers.NewtonCG) -> Callable:
    def run(problem: Problem, clock: Clock) -> None:
        model, loss, data = problem
        trainer.minimize(model, loss, data, callback=clock, verbose=0)

    return run


def adam(learning_rate: float) -> Callable:
    def run(problem: Problem, clock: Clock) -> None:
        model, loss, data = problem
        parts = tuple(map(tf.convert_to_tensor, data if isinstance(data, tuple) else (data,)))
        optimizer = keras.optimizers.Adam(learning_rate)
        optimizer.build(model.trainable_variables)

        @tf.function
        def step() -> tf.Tensor:
            with tf.GradientTape() as tape:
                value = loss(model, *parts) + sum(tf.cast(each, parts[0].dtype) for each in model.losses)
            optimizer.apply(tape.gradient(value, model.trainable_variables))
            return value

        try:
            for iteration in range(FOREVER):
                clock(iteration, float(step()), math.nan)
        except StopIteration:
            return

    return run


CONTESTANTS = {
    "Adam, best of 1e-3, 3e-3, 1e-2": [adam(rate) for rate in (1e-3, 3e-3, 1e-2)],
    "LBFGS": [full_batch(tfopt.trainers.LBFGS(FOREVER, 0.0))],
    "LBFGS, history_size=50": [full_batch(tfopt.trainers.LBFGS(FOREVER, 0.0, history_size=50))],
    "NewtonCG": [full_batch(tfopt.trainers.NewtonCG(FOREVER, 0.0))],
    "NewtonCG, trust_region": [full_batch(tfopt.trainers.NewtonCG(FOREVER, 0.0, trust_region=True))],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="time of each contestant")
    seconds = parser.parse_args().seconds
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}; full batch, at most {seconds:g} s each")
    for name, make in PROBLEMS.items():
        print(f"{name:34}{'loss at 1/4':>14}{'at 1/2':>12}{'at the end':>12}{'iterations':>12}{'s':>8}")
        for contestant, runs in CONTESTANTS.items():
            clocks = []
            for run in runs:
                clocks.append(Clock(seconds))
                run(make(), clocks[-1])
            best = min(clocks, key=lambda clock: min(clock.losses))
            print(f"  {contestant:32}{best.row()}")


if __name__ == "__main__":
    main()
