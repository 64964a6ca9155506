"""TFLite files: writing them, running them, and the proof that they do what their model does.

What writes files needs Keras and is imported when it is first used: reading and running needs LiteRT only.
"""

import importlib
from typing import Any

_NAMES = {
    "DebugReport": "tfopt.export.debug.error_statistics",
    "FileSummary": "tfopt.export.flatbuffer.summary",
    "TFLiteModel": "tfopt.export.runtime.tflite_model",
    "Tolerance": "tfopt.export.runtime.verify",
    "TOLERANCES": "tfopt.export.runtime.verify",
    "Verification": "tfopt.export.runtime.verify",
    "compare_files": "tfopt.export.runtime.compare",
    "debug_quantization": "tfopt.export.debug.debug_quantization",
    "inspect_file": "tfopt.export.flatbuffer.summary",
    "to_tflite": "tfopt.export.convert",
}

__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value
