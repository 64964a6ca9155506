"""Regression on a table: a small MLP, channels pruned, int8.

Data: scikit-learn's diabetes study (442 patients, 10 columns, disease progression after a year, 25 to 346),
which it ships. Of your own: `--data table.npz` with x of shape (rows, columns) and y of shape (rows,) or
(rows, targets).
Quality target: a mean absolute error no more than 5 % above the float model's. Beside it: a ridge
regression has 46.6 on the study's test rows, the median alone 68.9.

    tfopt run recipes/tabular_mlp.py [--data table.npz]

The columns are standardized outside the file: columns of different ranges in one int8 tensor would lose
those of the small ranges. The report gives the numbers that a user of the file needs for it.
"""

import keras

import tfopt

OPTIONS = {"num_classes": None, "scale": "standardize"}


def table(source=None):
    """The data of a file, or the diabetes study."""
    if source is None:
        from sklearn.datasets import load_diabetes

        x, y = load_diabetes(return_X_y=True, scaled=False)
        return tfopt.data.from_arrays(x, y[:, None], name="diabetes", **OPTIONS)
    data = tfopt.data.load(source, **OPTIONS)
    return data.require(input_shape=(None,), why="A table has one row of numbers a sample.")


def mlp(data, width):
    """Three dense layers; the outputs are in the units of the targets."""
    layers = keras.layers
    targets = data.y_train.reshape(len(data.y_train), -1)
    inputs = keras.Input(data.input_shape, name="columns")
    x = layers.Dense(2 * width, activation="relu", name="hidden1")(inputs)
    x = layers.Dropout(0.4, name="dropout")(x)  # 319 rows are few
    x = layers.Dense(width, activation="relu", name="hidden2")(x)
    x = layers.Dense(targets.shape[1], name="head")(x)
    # Training is stable where the head computes numbers of about unit size.
    outputs = layers.Rescaling(targets.std(axis=0), targets.mean(axis=0), name="units")(x)
    return keras.Model(inputs, outputs, name="mlp")


def build(hp):
    return tfopt.Recipe(
        data=table,
        model=lambda data: mlp(data, width=hp.Int("width", 8, 64, step=8, default=32)),
        optimizer=lambda steps: keras.optimizers.AdamW(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 3e-2, sampling="log", default=3e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            ),
            weight_decay=hp.Float("weight_decay", 1e-5, 1.0, sampling="log", default=0.1),
        ),
        loss="mean_absolute_error",
        metrics=["mean_absolute_error"],
        stages=[
            tfopt.Train(epochs=40),
            tfopt.PruneChannels(macs=hp.Float("macs", 0.2, 0.9, default=0.5), epochs=20),
            tfopt.QuantizeAware("int8", epochs=10),
            tfopt.ExportTFLite(),
        ],
        batch_size=32,
    )
