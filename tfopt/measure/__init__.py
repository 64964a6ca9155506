"""Metrics of models and files: zeros, multiply-accumulates, bytes, latency.

What needs Keras is imported when it is first used, so that a file can be measured without it.
"""

import importlib
from typing import Any

from tfopt.measure.entropy import distinct_values, entropy_bytes
from tfopt.measure.latency import Latency, latency
from tfopt.measure.size import compressed_bytes, raw_bytes
from tfopt.measure.sparse_encoding import sparse_bytes

_NAMES = {
    "KernelSparsity": "tfopt.measure.zeros",
    "layer_table": "tfopt.measure.zeros",
    "macs": "tfopt.measure.arithmetic",
    "sparsity": "tfopt.measure.zeros",
}

__all__ = [
    "Latency",
    "compressed_bytes",
    "distinct_values",
    "entropy_bytes",
    "latency",
    "raw_bytes",
    "sparse_bytes",
    *_NAMES,
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)
