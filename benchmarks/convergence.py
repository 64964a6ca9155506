"""Epochs that each optimizer takes to 97 % validation accuracy on the digits, at the best of a few rates.

All train the same small CNN from the same three starts, in one process, beside optimizers of Keras. The rate
is the one whose median over the starts is least, then whose sum is. `-` is a start that did not get there.

    python benchmarks/convergence.py [--only Adan Prodigy] [--epochs 20] [--seeds 0 1 2]
"""

import argparse
import math
import statistics
from collections.abc import Callable, Sequence

import keras
import numpy as np

import tfopt
from tfopt import optimizers as ours
from tfopt.optimizers.schedule_free import base

TARGET = 0.97
BATCH = 64
ADAM = (0.003, 0.01, 0.03)
SGD = (0.03, 0.1, 0.3)
SIGN = (0.001, 0.003, 0.01)

Make = Callable[[float], keras.optimizers.Optimizer]
# name: (optimizer at a rate, rates to try)
KERAS: dict[str, tuple[Make, tuple[float, ...]]] = {
    "keras Adam": (keras.optimizers.Adam, ADAM),
    "keras AdamW": (keras.optimizers.AdamW, ADAM),
    "keras Nadam": (keras.optimizers.Nadam, ADAM),
    "keras RMSprop": (keras.optimizers.RMSprop, ADAM),
    "keras Lamb": (keras.optimizers.Lamb, ADAM),
    "keras Lion": (keras.optimizers.Lion, SIGN),
    "keras Muon": (keras.optimizers.Muon, ADAM),
    "keras SGD": (keras.optimizers.SGD, (0.1, 0.3, 1.0)),
    "keras SGD, momentum 0.9": (lambda rate: keras.optimizers.SGD(rate, 0.9), SGD),
    "keras Adafactor": (keras.optimizers.Adafactor, (0.01, 0.03, 0.1)),
    "keras ScheduleFreeAdamW": (keras.optimizers.ScheduleFreeAdamW, ADAM),
}


def _sgdm(rate: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(rate, 0.9)


OURS: dict[str, tuple[Make, tuple[float, ...]]] = {
    "AdaBelief": (ours.AdaBelief, ADAM),
    "Adan": (ours.Adan, ADAM),
    "AdEMAMix": (ours.AdEMAMix, (0.001, *ADAM)),
    "ADOPT": (ours.ADOPT, ADAM),
    "DAdaptAdam": (ours.DAdaptAdam, (1.0,)),
    "FactoredAdam": (ours.FactoredAdam, ADAM),
    "LARS": (ours.LARS, (10.0, 30.0, 100.0)),
    "MARS": (ours.MARS, ADAM),
    "Momentum": (lambda rate: ours.Momentum(rate, debias=True), (0.3, 1.0, 3.0)),
    "NadamW": (ours.NadamW, ADAM),
    "Prodigy": (ours.Prodigy, (1.0,)),
    "RAdam": (ours.RAdam, ADAM),
    "ScheduleFreeAdamW": (ours.ScheduleFreeAdamW, ADAM),
    "ScheduleFreeRAdam": (ours.ScheduleFreeRAdam, ADAM),
    "ScheduleFreeSGD": (ours.ScheduleFreeSGD, (0.3, 1.0, 3.0)),
    "Shampoo, grafting=adam": (
        lambda rate: ours.Shampoo(rate, grafting="adam", precondition_frequency=10),
        ADAM,
    ),
    "SOAP": (ours.SOAP, ADAM),
    "StableAdamW": (ours.StableAdamW, ADAM),
    "AdamW8bit": (lambda rate: ours.AdamW8bit(rate, min_8bit_size=1), ADAM),
    "Lion8bit": (lambda rate: ours.Lion8bit(rate, min_8bit_size=1), SIGN),
    "SGDM8bit": (lambda rate: ours.SGDM8bit(rate, min_8bit_size=1), SGD),
    "Cautious(Adam)": (lambda rate: ours.Cautious(keras.optimizers.Adam(rate)), ADAM),
    "GradientCentralization(SGD 0.9)": (lambda rate: ours.GradientCentralization(_sgdm(rate)), SGD),
    "LayerwiseLearningRate(Adam, 0.9)": (
        lambda rate: ours.LayerwiseLearningRate(keras.optimizers.Adam(rate), decay=0.9),
        ADAM,
    ),
    "Lookahead(Adam)": (lambda rate: ours.Lookahead(keras.optimizers.Adam(rate)), ADAM),
    "SAM(SGD 0.9)": (lambda rate: ours.SAM(_sgdm(rate)), SGD),
    "SAM(SGD 0.9), asam": (lambda rate: ours.SAM(_sgdm(rate), rho=0.5, mode="asam"), SGD),
    "SAM(SGD 0.9), gsam": (lambda rate: ours.SAM(_sgdm(rate), mode="gsam"), SGD),
    "TrustRatio(AdamW)": (
        lambda rate: ours.TrustRatio(keras.optimizers.AdamW(rate), exclude=("bias", "gamma", "beta")),
        ADAM,
    ),
}


class UntilTarget(keras.callbacks.Callback):
    """Stops when the validation accuracy is reached, and remembers after how many epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = math.inf

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (logs or {}).get("val_accuracy", 0.0) >= TARGET:
            self.epochs = epoch + 1
            self.model.stop_training = True


def cnn(seed: int) -> keras.Model:
    """The model, of 7,690 parameters, as it starts from `seed`."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(20, activation="relu"),
            layers.Dense(10),
        ]
    )


class Contestant:
    """One optimizer, whose training step is traced once and used for all rates and starts."""

    def __init__(self, make: Make, data: tfopt.data.Dataset) -> None:
        self.data = data
        self.model = cnn(0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(make(0.01), loss, metrics=["accuracy"])
        self.model.optimizer.build(self.model.trainable_variables)
        self.fresh = [variable.numpy() for variable in self.model.optimizer.variables]

    def epochs(self, rate: float, seed: int, limit: int) -> float:
        """Return the epochs to the target, infinity if `limit` did not do."""
        self.model.set_weights(cnn(seed).get_weights())
        for variable, value in zip(self.model.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)
        self.model.optimizer.learning_rate = rate
        until, callbacks = UntilTarget(), []
        if isinstance(self.model.optimizer, base.ScheduleFree):
            callbacks = [tfopt.callbacks.EvaluateAtAverage()]
        order = np.random.default_rng(seed).permutation(len(self.data.y_train))
        keras.utils.set_random_seed(seed)
        self.model.fit(
            self.data.x_train[order],
            self.data.y_train[order],
            validation_data=(self.data.x_val, self.data.y_val),
            batch_size=BATCH,
            epochs=limit,
            verbose=0,
            callbacks=[*callbacks, until],
        )
        return until.epochs


def best(contestant: Contestant, rates: Sequence[float], seeds: Sequence[int], limit: int) -> tuple:
    """Return (rate, epochs of each start) of the best rate."""
    tried = {rate: [contestant.epochs(rate, seed, limit) for seed in seeds] for rate in rates}
    rate = min(tried, key=lambda r: (statistics.median(tried[r]), sum(tried[r])))
    return rate, tried[rate]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="names to run")
    parser.add_argument("--epochs", type=int, default=20, help="epochs after which a start has failed")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="the starts")
    arguments = parser.parse_args()
    table = KERAS | OURS
    unknown = sorted(set(arguments.only or ()) - set(table))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(table)}")
    data = tfopt.data.load("digits")
    print(f"epochs to {TARGET:.0%} validation accuracy, batch {BATCH}, starts {arguments.seeds}")
    print(f"{'':34}{'rate':>8}  epochs")
    for name in arguments.only or table:
        make, rates = table[name]
        rate, epochs = best(Contestant(make, data), rates, arguments.seeds, arguments.epochs)
        shown = ", ".join("-" if math.isinf(e) else str(e) for e in epochs)
        print(f"{name:34}{rate:8g}  {shown}", flush=True)


if __name__ == "__main__":
    main()
