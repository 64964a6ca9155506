"""tfopt makes Keras 3 models small and fast, and proves that the file does what the model did.

Names are imported when they are first used, so that `import tfopt` costs nothing and the command line
answers at once. One thing cannot wait for a first use: `keras.models.load_model` must find the classes
that tfopt registers, so these are imported as soon as Keras is.
"""

import importlib
from types import ModuleType
from typing import Any

import wrapt

from tfopt._version import __version__

_PACKAGES = (
    "callbacks",
    "clipping",
    "data",
    "distribute",
    "errors",
    "export",
    "graph",
    "measure",
    "optimizers",
    "pipeline",
    "pruning",
    "quantization",
    "report",
    "rules",
    "schedules",
    "search",
    "stages",
    "trainers",
)

_NAMES = {
    "fuse_batch_norm": "tfopt.graph",
    "prune": "tfopt.pruning",
    "quantize_aware": "tfopt.quantization",
    "to_tflite": "tfopt.export",
    "TFLiteModel": "tfopt.export",
    "Train": "tfopt.stages",
    "Prune": "tfopt.stages",
    "QuantizeAware": "tfopt.stages",
    "ExportTFLite": "tfopt.stages",
    "Pipeline": "tfopt.pipeline",
    "Run": "tfopt.pipeline",
    "Recipe": "tfopt.recipe",
    "TfoptError": "tfopt.errors",
}

# What can be had without Keras, so that the command line answers at once.
_LIGHT = (
    "data",
    "errors",
    "pipeline",
    "report",
    "rules",
    "search",
    "Pipeline",
    "Recipe",
    "Run",
    "TfoptError",
)

__all__ = ["__version__", *_PACKAGES, *_NAMES]


@wrapt.when_imported("keras")
def _register(_: ModuleType) -> None:
    importlib.import_module("tfopt.registered")


def __getattr__(name: str) -> Any:
    if name in __all__ and name not in _LIGHT:
        # First, for `_register` imports other packages, which must not find this one half imported.
        importlib.import_module("keras")
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _PACKAGES:
        value = importlib.import_module(f"tfopt.{name}")
    else:
        raise AttributeError(f"module 'tfopt' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
