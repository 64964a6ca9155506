"""What each kind of regularization is worth on few samples: accuracy with it and without.

Trains one CNN on some of scikit-learn's digits, noisy and few, as `distillation.py` does, for the same epochs
from the same weights: as it is, with each penalty, with dropout, with each kind of consistency and with
averaged weights. Prints the accuracy on the test split, each seed and the mean, and the gain over
the model as it is in points.

    python benchmarks/regularization.py [--seeds 0 1 2] [--samples 300] [--noise 0.35] [--epochs 40]
"""

import contextlib
import statistics

import keras
from distillation import BATCH, accuracy, cnn, images, options
from models import LOGITS

from tfopt.callbacks import AverageWeights
from tfopt.regularization import (
    ConsistencyRegularization,
    GroupLasso,
    estimate_batch_norm,
    insert_after,
    regularize,
)

L = keras.layers


def penalized(penalty):
    """Return what gives all kernels a penalty."""
    return lambda model: regularize(model, penalty)


def dropped(model):
    """Return a model with dropout after its convolutions, so that a second look is another."""
    return insert_after(model, {"conv[12]": L.Dropout(0.2)})


# name: (what is made of the model, kind of consistency or None, whether its weights are averaged)
METHODS = {
    "as it is": (lambda model: model, None, False),
    "L1 1e-4": (penalized(keras.regularizers.L1(1e-4)), None, False),
    "L2 1e-3": (penalized(keras.regularizers.L2(1e-3)), None, False),
    "elastic net 1e-4, 1e-3": (penalized(keras.regularizers.L1L2(1e-4, 1e-3)), None, False),
    "group lasso 1e-4": (penalized(GroupLasso(1e-4)), None, False),
    "dropout 0.2": (dropped, None, False),
    "dropout, Pi-model": (dropped, "pi_model", False),
    "dropout, R-Drop": (dropped, "r_drop", False),
    "dropout, mean teacher": (dropped, "mean_teacher", False),
    "averaged weights": (lambda model: model, None, True),
}


def trained(method, x, y, seed, epochs):
    """Return the model that a method makes of the network with the weights of a seed."""
    make, consistency, averages = METHODS[method]
    keras.utils.set_random_seed(seed)
    model = make(cnn())
    model.compile(keras.optimizers.Adam(3e-3), LOGITS)
    callbacks = [AverageWeights(start_epoch=3 * epochs // 4, data=x)] if averages else []
    with ConsistencyRegularization(model, consistency) if consistency else contextlib.nullcontext():
        model.fit(x, y, batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0)
    estimate_batch_norm(model, x)  # of all alike: averaged weights need it
    return model


def main():
    asked = options(__doc__, epochs=40).parse_args()
    found = {name: [] for name in METHODS}
    for seed in asked.seeds:
        x, y, x_test, y_test = images(asked.samples, asked.noise, seed)
        for name, each in found.items():
            model = trained(name, x, y, seed, asked.epochs)
            each.append(accuracy(model.predict(x_test, verbose=0), y_test))
    base = statistics.mean(found["as it is"])
    print(f"{asked.samples} noisy digits, {asked.epochs} epochs, seeds {asked.seeds}")
    print(f"{'':24}{'accuracy':>10}{'points':>8}   each seed")
    for name, each in found.items():
        mean = statistics.mean(each)
        seeds = " ".join(f"{100 * one:.1f}" for one in each)
        print(f"{name:24}{100 * mean:10.1f}{100 * (mean - base):+8.1f}   {seeds}")


if __name__ == "__main__":
    main()
