"""Step time, tracing time and state of tfopt's optimizers, as ratios to Keras's Adam.

All optimizers take turns in one process, on the same gradients, so that a busy machine slows all alike.

    python benchmarks/optimizers.py [--rounds 30]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import keras
import tensorflow as tf

import tfopt

BASELINE = "keras Adam"
OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    BASELINE: lambda: keras.optimizers.Adam(1e-3),
    "Adan": lambda: tfopt.optimizers.Adan(1e-3),
}
# problem: (number of variables, entries of each)
PROBLEMS = {"200 variables of 32": (200, 32), "20 variables of 500,000": (20, 500_000)}


class Contestant:
    """One optimizer with its own copy of the variables."""

    def __init__(self, make: Callable[[], keras.optimizers.Optimizer], count: int, size: int) -> None:
        self.optimizer = make()
        self.variables = [keras.Variable(tf.ones(size)) for _ in range(count)]
        self.gradients = [tf.random.stateless_normal((size,), (i, 0)) for i in range(count)]
        self.optimizer.build(self.variables)
        self.step = tf.function(lambda gradients: self.optimizer.apply(gradients, self.variables))
        self.first_call = self.time_step()
        self.times: list[float] = []

    def time_step(self) -> float:
        """Return the wall time of one update, in seconds."""
        start = time.perf_counter()
        self.step(self.gradients)
        return time.perf_counter() - start

    @property
    def state_bytes(self) -> float:
        """Bytes of optimizer state for each parameter."""
        state = sum(v.numpy().nbytes for v in self.optimizer.variables if v.shape)
        return state / sum(v.numpy().size for v in self.variables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="updates of each optimizer that are timed")
    rounds = parser.parse_args().rounds
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}; below 1 is faster than {BASELINE}")
    print(f"{'':26}{'step':>10}{'':>12}{'first call':>14}{'state':>12}")
    print(f"{'':26}{'ratio':>10}{'ms':>12}{'ratio':>14}{'bytes/param':>12}")
    for problem, (count, size) in PROBLEMS.items():
        contestants = {name: Contestant(make, count, size) for name, make in OPTIMIZERS.items()}
        for _ in range(rounds):
            for contestant in contestants.values():
                contestant.times.append(contestant.time_step())
        print(problem)
        base = contestants[BASELINE]
        for name, contestant in contestants.items():
            step = statistics.median(contestant.times)
            print(
                f"  {name:24}{step / statistics.median(base.times):10.2f}{1e3 * step:12.2f}"
                f"{contestant.first_call / base.first_call:14.2f}{contestant.state_bytes:12.1f}"
            )


if __name__ == "__main__":
    main()
