"""Pipelines: stages in order, run with resume, in a folder that holds all of what came out."""

import importlib
from typing import TYPE_CHECKING, Any

from tfopt.pipeline.run import Run

if TYPE_CHECKING:
    from tfopt.pipeline.pipeline import Pipeline

__all__ = ["Pipeline", "Run"]


def __getattr__(name: str) -> Any:
    # A run is read without TensorFlow; only running one needs it.
    if name != "Pipeline":
        raise AttributeError(f"module 'tfopt.pipeline' has no attribute {name!r}")
    return importlib.import_module("tfopt.pipeline.pipeline").Pipeline
