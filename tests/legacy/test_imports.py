"""Converting leaves the process as it was, whatever was imported first."""

import json
import os
import subprocess
import sys

import pytest

REPORT = """
import json, logging, os, random, sys
import keras
import tensorflow as tf
print(json.dumps({
    "environment": sorted(set(os.environ.items()) ^ before),
    "kinds": [each.__module__.split(".")[0] for each in (
        tf.keras.Model, tf.keras.layers.Dense, tf.optimizers.Adam, tf.losses.Loss, tf.metrics.Metric,
        tf.initializers.Zeros, tf.compat.v1.keras.Model, tf.compat.v2.keras.Model)],
    "keras": [keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name,
              keras.config.epsilon(), keras.config.backend()],
    "custom": [name for name in keras.saving.get_custom_objects() if not name.startswith("tfopt>")],
    "level": logging.getLogger().level,
}))
"""

START = "import os; import tensorflow; before = set(os.environ.items())\n"

CONVERT = """
import keras, tfopt
def convert():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    old = tfopt.to_legacy(model)
    old.save("model.h5")
    tfopt.from_legacy("model.h5")
convert()
"""

ORDERS = {
    "tfopt first": CONVERT,
    "tf.keras touched first": f"import tensorflow as tf; tf.keras.Model; tf.optimizers.Adam{CONVERT}",
    "tf_keras first": f"import tf_keras{CONVERT}",
}


def _fresh(code, folder):
    process = subprocess.run(
        [sys.executable, "-c", START + code + REPORT],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    return _fresh("import keras", tmp_path_factory.mktemp("untouched"))


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_the_process_is_as_it_was(order, untouched, tmp_path):
    assert untouched["kinds"][:2] == ["keras", "keras"]
    assert _fresh(ORDERS[order], tmp_path) == untouched
