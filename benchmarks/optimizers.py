"""Step time, tracing time and state of tfopt's optimizers, as ratios to Keras's Adam.

All optimizers take turns in one process, on the same gradients, so that a busy machine slows all alike.

    python benchmarks/optimizers.py [--rounds 30] [--only Adan NadamW]
"""

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfopt import optimizers as ours

BASELINE = "keras Adam"
# The rates are small: the same gradient again and again would take the weights far.
OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    BASELINE: lambda: keras.optimizers.Adam(1e-4),
    "keras SGD, momentum 0.9": lambda: keras.optimizers.SGD(1e-4, 0.9),
    "keras Adafactor": lambda: keras.optimizers.Adafactor(1e-4),
    **{
        name: functools.partial(getattr(ours, name), learning_rate=1e-4)
        for name in (
            "ADOPT", "AdaBelief", "AdEMAMix", "Adan", "AdamW8bit", "DAdaptAdam", "FactoredAdam", "LARS",
            "Lion8bit", "MARS", "Momentum", "NadamW", "Prodigy", "RAdam", "SGDM8bit", "ScheduleFreeAdamW",
            "ScheduleFreeRAdam", "ScheduleFreeSGD", "Shampoo", "SOAP", "StableAdamW",
        )
    },
    "Cautious(NadamW)": lambda: ours.Cautious(ours.NadamW(1e-4)),
    "Cautious(keras Adam)": lambda: ours.Cautious(keras.optimizers.Adam(1e-4)),
    "GradientCentralization(keras Adam)": lambda: ours.GradientCentralization(keras.optimizers.Adam(1e-4)),
    "LayerwiseLearningRate(keras Adam)": lambda: ours.LayerwiseLearningRate(
        keras.optimizers.Adam(1e-4), decay=0.99
    ),
    "Lookahead(keras Adam)": lambda: ours.Lookahead(keras.optimizers.Adam(1e-4)),
    "Lookahead(NadamW)": lambda: ours.Lookahead(ours.NadamW(1e-4)),
    "TrustRatio(keras Adam)": lambda: ours.TrustRatio(keras.optimizers.Adam(1e-4)),
    "SAM(keras Adam), second pass apart": lambda: ours.SAM(keras.optimizers.Adam(1e-4)),
}  # fmt: skip
# problem: (number of variables, shape of each)
PROBLEMS = {"200 variables of 32": (200, (32,)), "20 variables of 500 x 1000": (20, (500, 1000))}


class Contestant:
    """One optimizer with its own copy of the variables."""

    def __init__(
        self, make: Callable[[], keras.optimizers.Optimizer], gradients: Sequence[tf.Tensor]
    ) -> None:
        self.optimizer = make()
        self.gradients = gradients
        self.variables = [keras.Variable(tf.ones(gradient.shape)) for gradient in gradients]
        self.optimizer.build(self.variables)
        self.step = tf.function(self.apply)
        self.first_call = self.time_step()
        self.times: list[float] = []

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Update the variables once."""
        if isinstance(self.optimizer, ours.SAM):
            self.optimizer.apply_twice(gradients, self.variables, lambda variables, at: gradients)  # noqa: ARG005
        else:
            self.optimizer.apply(gradients, self.variables)

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
    parser.add_argument("--only", nargs="*", default=[], help="names to run beside the baseline")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.only) - set(OPTIMIZERS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(OPTIMIZERS)}")
    rounds = arguments.rounds
    names = [BASELINE, *arguments.only] if arguments.only else list(OPTIMIZERS)
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}; below 1 is faster than {BASELINE}")
    print(f"{'':36}{'step':>10}{'':>12}{'first call':>14}{'state':>12}")
    print(f"{'':36}{'ratio':>10}{'ms':>12}{'ratio':>14}{'bytes/param':>12}")
    for problem, (count, shape) in PROBLEMS.items():
        gradients = [tf.random.stateless_normal(shape, (i, 0)) for i in range(count)]
        contestants = {name: Contestant(OPTIMIZERS[name], gradients) for name in names}
        for _ in range(rounds):
            for contestant in contestants.values():
                contestant.times.append(contestant.time_step())
        print(problem)
        base = contestants[BASELINE]
        for name, contestant in contestants.items():
            step = statistics.median(contestant.times)
            print(
                f"  {name:34}{step / statistics.median(base.times):10.2f}{1e3 * step:12.2f}"
                f"{contestant.first_call / base.first_call:14.2f}{contestant.state_bytes:12.2f}"
            )


if __name__ == "__main__":
    main()
