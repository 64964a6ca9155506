"""Gradient boosting of small networks: beside one of its learners, a wide network and scikit-learn's trees.

python benchmarks/boosting.py

The learner is a network with one hidden layer of 8 units; the wide one has as many weights as all learners
together. Columns are standardized. A quarter of the samples is for the test, a fifth of the rest to stop by;
three seeds.
"""

import functools

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, make_friedman1
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

from tfopt.ensemble import GradientBoosting

SEEDS = (0, 1, 2)
ROUNDS = 40
layers = keras.layers


def friedman():
    return make_friedman1(1500, n_features=10, noise=1.0, random_state=0)


TASKS = {
    "Friedman 1 (made), RMSE": (friedman, False),
    "diabetes, RMSE": (lambda: load_diabetes(return_X_y=True), False),
    "breast cancer, error": (lambda: load_breast_cancer(return_X_y=True), True),
}


def network(inputs, width):
    return keras.Sequential([keras.Input((inputs,)), layers.Dense(width, "relu"), layers.Dense(1)])


def parts(x, y, seed):
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.25, random_state=seed)
    x, x_stop, y, y_stop = train_test_split(x, y, test_size=0.2, random_state=seed)
    mean, deviation = x.mean(0), x.std(0) + 1e-9
    return [
        ((part - mean) / deviation, target) for part, target in ((x, y), (x_stop, y_stop), (x_test, y_test))
    ]


def boosted(train, stop, loss, seed, rounds, rate):
    boosting = GradientBoosting(
        lambda: network(train[0].shape[1], 8),
        loss,
        rounds=rounds,
        learning_rate=rate,
        epochs=20,
        patience=10 if rounds > 1 else None,
        seed=seed,
    )
    return boosting.fit(*train, validation_data=stop, verbose=0).model


def wide(train, stop, loss, seed):
    keras.utils.set_random_seed(seed)
    model = network(train[0].shape[1], 8 * ROUNDS)
    logits = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss=logits if loss != "mse" else loss)
    early = keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True)
    model.fit(*train, validation_data=stop, epochs=200, callbacks=[early], verbose=0)
    return model


def error_of(predicted, threshold, *, y, classes):
    """Return the share of wrong classes in percent, or the root of the mean squared error."""
    if classes:
        return 100 * np.mean((np.ravel(predicted) > threshold) != y)
    return np.sqrt(np.mean((np.ravel(predicted) - y) ** 2))


def main():
    print("| | one learner | boosting | wide network | scikit-learn's trees |\n|---|---|---|---|---|")
    for name, (load, classes) in TASKS.items():
        loss = "binary_crossentropy" if classes else "mse"
        found = {"one": [], "boosting": [], "wide": [], "trees": []}
        for seed in SEEDS:
            train, stop, (x, y) = parts(*load(), seed=seed)
            error = functools.partial(error_of, y=y, classes=classes)
            one = boosted(train, stop, loss, seed, 1, 1.0)
            many = boosted(train, stop, loss, seed, ROUNDS, 0.3)
            kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
            trees = kind(random_state=seed, early_stopping=True).fit(
                np.concatenate([train[0], stop[0]]), np.concatenate([train[1], stop[1]])
            )
            found["one"].append(error(one.predict(x, verbose=0), 0.5))
            found["boosting"].append(error(many.predict(x, verbose=0), 0.5))
            found["wide"].append(error(wide(train, stop, loss, seed).predict(x, verbose=0), 0.0))
            found["trees"].append(error(trees.predict(x), 0.5))
        cells = " | ".join(", ".join(f"{value:.2f}" for value in values) for values in found.values())
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
