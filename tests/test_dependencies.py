"""What setup.cfg asks for can be imported, together, in one environment."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).parents[1] / "setup.cfg"

MODULES = {
    "keras-tuner": "keras_tuner",
    "tensorflow-model-optimization": "tensorflow_model_optimization",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "litert-quantizer": "litert_quantizer",
    "scikit-learn": "sklearn.datasets",
}
"""The module of a package, where it is not the package's name."""


def _requirements():
    config = configparser.ConfigParser()
    config.read(CONFIG)
    lines = config["options"]["install_requires"].strip().splitlines()
    return [re.match(r"[\w-]+", line).group() for line in lines if not line.startswith("#")]


def test_all_are_imported_in_one_process():
    # A process of its own: tensorflow_model_optimization changes what tf.keras is for all that follow.
    modules = [MODULES.get(package, package) for package in _requirements()]
    assert "tensorflow" in modules
    subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}"], check=True, capture_output=True)
