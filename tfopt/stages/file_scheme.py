"""The scheme of the file that a pipeline ends with, for stages that are to know what it will cost."""

from __future__ import annotations

from collections.abc import Sequence

from tfopt.stages.base import Stage
from tfopt.stages.export_tflite import ExportTFLite
from tfopt.stages.quantize_aware import QuantizeAware


def scheme_of_file(stages: Sequence[Stage]) -> str:
    """Return the scheme by name: that of the export, else that of quantization-aware training, else float32.

    Quantization-aware training by a scheme that has no name is taken for int8.
    """
    exports = [stage.scheme for stage in stages if isinstance(stage, ExportTFLite) and stage.scheme]
    trained = [stage.scheme for stage in stages if isinstance(stage, QuantizeAware)]
    if exports:
        return exports[-1]
    if trained:
        return trained[-1] if isinstance(trained[-1], str) else "int8"
    return "float32"
