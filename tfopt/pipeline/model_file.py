"""A run's Keras models as files: masks that a `.keras` file leaves out stand in one beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from tfopt import graph
from tfopt.files import replacing, write_atomically
from tfopt.pruning.masks import put_masks, unsaved_masks


def save(model: keras.Model, path: Path) -> None:
    """Save without optimizer: the next stage has its own, and loading must not ask for the user's loss."""
    with replacing(path) as temporary:
        graph.copy(model).save(temporary)
    write_masks(path, unsaved_masks(model))


def write_masks(path: Path, masks: list[Any]) -> None:
    """Write the masks of kernels in layers of the user's own beside the model `path`; no file without any."""
    if masks:
        write_atomically(_masks(path), json.dumps(masks))
    else:
        _masks(path).unlink(missing_ok=True)


def load(path: Path, *, compile: bool = False) -> keras.Model:
    """Return the model of a run, with all of its masks."""
    model = keras.saving.load_model(path, compile=compile)
    if _masks(path).exists():
        put_masks(model, json.loads(_masks(path).read_text(encoding="utf-8")))
    return model


def delete(path: Path) -> None:
    """Delete a model and its masks."""
    for each in (path, _masks(path)):
        each.unlink(missing_ok=True)


def _masks(path: Path) -> Path:
    return path.with_suffix(".masks.json")
