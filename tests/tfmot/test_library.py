"""Using the engine leaves the process as it was, whatever was imported first."""

import json
import subprocess
import sys

import pytest

REPORT = """
import json, os, sys
import tensorflow as tf
print(json.dumps({
    "switch": os.environ.get("TF_USE_LEGACY_KERAS"),
    "changed": sorted(set(os.environ.items()) ^ before),
    "kinds": [each.__module__.split(".")[0] for each in (
        tf.keras.Model, tf.keras.layers.Dense, tf.optimizers.Adam, tf.losses.Loss, tf.metrics.Metric,
        tf.initializers.Zeros, tf.compat.v1.keras.Model, tf.compat.v2.keras.Model)],
    "backend": __import__("keras").config.backend(),
    "filters": warnings.filters == filters,
}))
"""

START = """
import os, warnings
import tensorflow
before, filters = set(os.environ.items()), [*warnings.filters]
"""

USE = "from tfopt.tfmot.library import tfmot, tf_keras; tfmot(); tf_keras()"


def _fresh(code: str, **environment: str) -> dict:
    import os

    process = subprocess.run(
        [sys.executable, "-c", START + code + REPORT],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


ORDERS = {
    "engine first": USE,
    "tf.keras touched first": f"import tensorflow as tf; tf.keras.Model; {USE}",
    "tf.optimizers touched first": f"import tensorflow as tf; tf.optimizers.Adam; {USE}",
    "keras first": f"import keras; {USE}",
    "tf_keras first": f"import tf_keras; {USE}",
    "tfopt first": f"import tfopt, keras; tfopt.graph; {USE}",
}


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_the_process_is_as_it_was(order):
    without = _fresh("import keras")
    assert without["kinds"][0] == "keras"
    assert _fresh(ORDERS[order]) == without


@pytest.mark.slow
def test_a_user_who_chose_keras_2_keeps_it():
    found = _fresh(USE, TF_USE_LEGACY_KERAS="1")
    assert found == _fresh("import keras", TF_USE_LEGACY_KERAS="1")
    assert found["switch"] == "1"
    assert found["kinds"][0] == "tf_keras"


def test_what_cannot_be_imported_is_said(monkeypatch):
    from tfopt.errors import InvalidArgumentError
    from tfopt.tfmot import library

    monkeypatch.delitem(sys.modules, "tensorflow_model_optimization", raising=False)
    monkeypatch.setattr(library, "_TFMOT", "tensorflow_model_optimisation")
    with pytest.raises(InvalidArgumentError, match=r'needs tensorflow_model_optimisation.*engine="keras"'):
        library.tfmot()
