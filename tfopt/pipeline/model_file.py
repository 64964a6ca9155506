"""A run's Keras models as files: masks that a `.keras` file leaves out are in a file next to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from tfopt import graph
from tfopt.errors import RunError
from tfopt.files import replacing, write_atomically
from tfopt.pruning.masks import put_masks, unsaved_masks

NAME = "model.keras"
"""What the file of a model is called in the folder of its stage."""


def save(model: keras.Model, path: Path) -> None:
    """Save without optimizer: the next stage has its own, and loading must not ask for the user's loss."""
    with replacing(path) as temporary:
        graph.copy(model).save(temporary)
    write_masks(path, unsaved_masks(model))


def write_masks(path: Path, masks: list[Any]) -> None:
    """Write the masks of kernels in layers of the user's own beside the model `path`; no file without any."""
    if masks:
        write_atomically(masks_of(path), json.dumps(masks))
    else:
        masks_of(path).unlink(missing_ok=True)


def load(path: Path, *, compile: bool = False) -> keras.Model:
    """Return the model of a run, with all of its masks.

    Raises:
        RunError: a file is missing or damaged, or names a class that Keras does not know.
    """
    try:
        model = keras.saving.load_model(path, compile=compile)
        if masks_of(path).exists():
            put_masks(model, json.loads(masks_of(path).read_text(encoding="utf-8")))
    except Exception as error:  # whatever Keras and a class of the user's raise
        reason = " ".join(str(error).split("Exception encountered:")[-1].split())[:300]
        raise RunError(
            f"Cannot load {path}: {reason}. If that names a class or a function of yours, import or register "
            "it first; if the file is damaged, run the same command again, which makes it again."
        ) from error
    return model


def delete(path: Path) -> None:
    """Delete a model and its masks."""
    for each in (path, masks_of(path)):
        each.unlink(missing_ok=True)


def masks_of(path: Path) -> Path:
    """Return where the masks of the model `path` are, if it has any beside it."""
    return path.with_suffix(".masks.json")
