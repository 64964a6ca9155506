"""What runs on Keras's JAX backend, in a process of its own; `test_jax.py` starts it.

KERAS_BACKEND=jax python on_jax.py FOLDER: trains the pruned model of the folder and writes what came of it.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

import tfopt
from tests.contracts.test_schedules import SCHEDULES
from tfopt import schedules
from tfopt.errors import UnsupportedModel

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = X[:, :1] * 2


def network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential([keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(1)], name="network")


def refusals():
    """Return what is said of what needs TensorFlow."""
    asked = {
        "Adan": lambda: tfopt.optimizers.Adan(1e-3),
        "Lookahead": lambda: tfopt.optimizers.Lookahead(keras.optimizers.Adam()),
        "prune": lambda: tfopt.prune(network(), 0.5),
        "cluster": lambda: tfopt.cluster(network(), 4),
        "low_rank": lambda: tfopt.low_rank(network(), 0.5),
        "prune_channels": lambda: tfopt.prune_channels(network(), macs=0.5),
        "quantize_aware": lambda: tfopt.quantize_aware(network()),
        "to_tflite": lambda: tfopt.to_tflite(network()),
    }
    said = {}
    for name, ask in asked.items():
        try:
            ask()
        except UnsupportedModel as error:
            said[name] = str(error)
    return said


def main(folder):
    model = keras.saving.load_model(folder / "pruned.keras")
    rate = schedules.WarmupCosine(0.1, warmup_steps=2, total_steps=8)
    model.compile(keras.optimizers.Adam(rate), "mse")
    losses = model.fit(X, Y, epochs=2, batch_size=8, verbose=0).history["loss"]
    model.save(folder / "trained.keras")
    rates = {
        name: [float(keras.ops.convert_to_numpy(kind(**arguments)(step))) for step in range(10)]
        for name, (kind, arguments) in SCHEDULES.items()
    }
    outputs = model.predict(X, verbose=0).tolist()
    said = {"backend": keras.backend.backend(), "losses": losses, "rates": rates, "outputs": outputs}
    (folder / "said.json").write_text(json.dumps({**said, "refusals": refusals()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
