"""tfopt makes Keras 3 models small and fast, and checks that the file gives the model's results.

Names are imported when they are first used, so that `import tfopt` costs nothing and the command line
answers at once. One thing cannot wait for a first use: `keras.models.load_model` must find the classes
that tfopt registers, so these are imported as soon as Keras is, or, where Keras is imported by a part of
tfopt, as soon as that part is whole.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import wrapt

from tfopt._version import __version__

_PACKAGES = (
    "budgets",
    "callbacks",
    "channels",
    "clipping",
    "clustering",
    "data",
    "distillation",
    "distribute",
    "ensemble",
    "errors",
    "export",
    "factorization",
    "graph",
    "legacy",
    "measure",
    "models",
    "optimizers",
    "oracles",
    "pipeline",
    "post_training",
    "pruning",
    "quantization",
    "regularization",
    "report",
    "rules",
    "schedules",
    "search",
    "sharing",
    "stages",
    "tfmot",
    "trainers",
)

_NAMES = {
    "cluster": "tfopt.clustering",
    "debug_quantization": "tfopt.export",
    "fuse_batch_norm": "tfopt.graph",
    "low_rank": "tfopt.factorization",
    "mixed_precision": "tfopt.quantization",
    "plan": "tfopt.quantization",
    "prune": "tfopt.pruning",
    "prune_channels": "tfopt.channels",
    "quantize_aware": "tfopt.quantization",
    "sensitivity": "tfopt.quantization",
    "from_legacy": "tfopt.legacy",
    "to_legacy": "tfopt.legacy",
    "tie": "tfopt.sharing",
    "to_tflite": "tfopt.export",
    "TFLiteModel": "tfopt.export",
    "Train": "tfopt.stages",
    "Prune": "tfopt.stages",
    "PruneChannels": "tfopt.stages",
    "Cluster": "tfopt.stages",
    "Distill": "tfopt.stages",
    "LowRank": "tfopt.stages",
    "Tie": "tfopt.stages",
    "QuantizeAware": "tfopt.stages",
    "ExportTFLite": "tfopt.stages",
    "Pipeline": "tfopt.pipeline",
    "Run": "tfopt.pipeline",
    "Recipe": "tfopt.recipe.recipe",
    "TfoptError": "tfopt.errors",
}

__all__ = ["__version__", *_PACKAGES, *_NAMES]


def _register(done: ModuleType) -> None:
    """Imports the registered classes once `done` was the last that they, or Keras, waited for."""
    if "keras" not in sys.modules or "tfopt._registration" in sys.modules:
        return
    half_imported = any(
        name.startswith("tfopt.") and module is not done and getattr(module.__spec__, "_initializing", False)
        for name, module in [*sys.modules.items()]
    )
    if not half_imported:
        importlib.import_module("tfopt._registration")


def _modules() -> Iterator[str]:
    """Yields the names of all modules of tfopt without importing any."""
    root = Path(__file__).parents[1]
    for file in Path(__file__).parent.rglob("*.py"):
        yield ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


# Any of them may be the first that somebody imports, and brings Keras with it.
for _name in ("keras", *_modules()):
    if _name != "tfopt":
        wrapt.register_post_import_hook(_register, _name)


def __getattr__(name: str) -> Any:
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
