"""CMA-ES beside gradients: on thresholds, which have none, and on a smooth model, where gradients win.

python benchmarks/evolution.py

Two moons (scikit-learn), 200 points to train and 1,000 to test, a network 2-8-1, three seeds.
"""

import keras
import numpy as np
from sklearn.datasets import make_moons

from tfopt.trainers import LBFGS, Evolution

SEEDS = (0, 1, 2)
layers, ops = keras.layers, keras.ops


def network(seed, activation):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((2,)), layers.Dense(8, activation), layers.Dense(1)])


@keras.ops.custom_gradient
def straight_through(x):
    """The sign, with the gradient of the identity between -1 and 1 (Hubara et al., 2016)."""

    def gradient(*arguments, upstream=None):  # TensorFlow gives it by position, JAX by name
        upstream = arguments[0] if upstream is None else upstream
        return ops.where(ops.abs(x) <= 1, upstream, ops.zeros_like(upstream))

    return ops.sign(x), gradient


def hinge(model, x, y):
    return ops.mean(ops.relu(1 - model(x) * y))


def errors(model, x, y):
    return ops.mean(ops.cast(model(x) * y <= 0, "float32"))


def trained_by_adam(model, x, y, epochs=500):
    model.compile(keras.optimizers.Adam(0.01), loss="hinge")
    model.fit(x, y, batch_size=len(x), epochs=epochs, verbose=0)
    return epochs


def rows():
    def evolved(seed, activation, loss):
        model = network(seed, activation)
        return lambda x, y: (model, Evolution(400, seed=seed).minimize(model, loss, (x, y), verbose=0))

    def adam(seed, activation):
        model = network(seed, activation)
        return lambda x, y: (model, trained_by_adam(model, x, y))

    def lbfgs(seed, activation):
        model = network(seed, activation)
        return lambda x, y: (model, LBFGS(400, 1e-4).minimize(model, hinge, (x, y), verbose=0))

    yield "thresholds, Evolution on the accuracy", lambda seed: evolved(seed, ops.sign, errors)
    yield "thresholds, Evolution on the hinge loss", lambda seed: evolved(seed, ops.sign, hinge)
    yield "thresholds, Adam with straight-through gradients", lambda seed: adam(seed, straight_through)
    yield "tanh, Evolution on the hinge loss", lambda seed: evolved(seed, "tanh", hinge)
    yield "tanh, Adam", lambda seed: adam(seed, "tanh")
    yield "tanh, LBFGS on the hinge loss", lambda seed: lbfgs(seed, "tanh")


def main():
    x, y = make_moons(1200, noise=0.15, random_state=0)
    x, y = x.astype("float32"), (2.0 * y[:, None] - 1).astype("float32")
    print("| | test accuracy, three seeds | evaluations of the loss on all data |\n|---|---|---|")
    for name, make in rows():
        shares, counts = [], []
        for seed in SEEDS:
            model, result = make(seed)(x[:200], y[:200])
            shares.append(np.mean(model.predict(x[200:], verbose=0) * y[200:] > 0))
            counts.append(getattr(result, "evaluations", result))
        told = ", ".join(f"{100 * share:.1f}" for share in shares)
        print(f"| {name} | {told} % | {np.mean(counts):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
