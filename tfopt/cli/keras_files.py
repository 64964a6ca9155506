"""Keras models in files of every kind: .keras, .h5 and SavedModels, of Keras 3 and Keras 2."""

from __future__ import annotations

import inspect
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tfopt.errors import InvalidArgumentError, TfoptError, UnsupportedModel
from tfopt.recipe.file import module_of

if TYPE_CHECKING:
    import keras

Command = TypeVar("Command", bound=Callable[..., Any])

_UNKNOWN = re.compile(r"(?:Could not locate (?:class|function)|Unknown \w+:) '?([\w.>]+)")
"""What Keras says where a file names a class or function that it does not know."""


def model_options(command: Command) -> Command:
    """Give a command the options that reading a Keras model takes: `custom` and `trust`."""
    command = click.option(
        "--custom",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Python file with the classes and functions of the model that are not Keras's own.",
    )(command)
    return click.option(
        "--trust", is_flag=True, help="Run Python code that MODEL holds, such as Lambda layers."
    )(command)


def load(path: Path, *, custom: Path | None = None, trust: bool = False) -> keras.Model:
    """Return the model in a file or folder, not compiled.

    Args:
        path: a `.keras` or `.h5` file of Keras 3 or 2, or a SavedModel folder of Keras 2.
        custom: a Python file with the model's own classes and functions.
        trust: whether to run Python code that the file holds.

    Raises:
        InvalidArgumentError: there is no such model, or it is damaged.
        UnsupportedModel: it holds a class that nobody has given, or code that is not trusted.
    """
    if not path.exists():
        raise InvalidArgumentError(f"No such file: {path}.")
    if path.suffix == ".tflite":
        raise InvalidArgumentError(
            f"{path} is a TFLite file already: tfopt inspect shows what it holds. Give the Keras model."
        )
    objects = _objects(custom) if custom else {}
    if path.is_dir() or _version(path).startswith("2"):
        from tfopt.legacy import from_legacy

        return from_legacy(path, custom_objects=objects, safe_mode=not trust)
    import keras

    try:
        with keras.saving.custom_object_scope(objects):
            loaded = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # whatever Keras and a class of the user's raise
        raise _refusal(path, error, given=custom is not None) from error
    if not isinstance(loaded, keras.Model):
        raise InvalidArgumentError(f"{path} holds a {type(loaded).__name__}, not a Keras model.")
    return loaded


def _refusal(path: Path, error: Exception, *, given: bool) -> TfoptError:
    """Return what is wrong with a file that Keras does not read."""
    text = str(error)
    if unknown := _UNKNOWN.findall(text):
        name = unknown[-1]
        where = "the file given with --custom lacks it: define it there" if given else "give its Python file"
        return UnsupportedModel(
            f"{path} uses {name!r}, which Keras does not know; {where}: --custom FILE.py. In Python: "
            "decorate it with @keras.saving.register_keras_serializable(), load the model and call "
            "tfopt.to_tflite."
        )
    if "safe_mode" in text or "unsafe" in text.lower():
        return UnsupportedModel(
            f"{path} holds Python code, such as a Lambda layer, which runs when the file is read. If you "
            "trust the file, add --trust."
        )
    reason = " ".join(text.split("Exception encountered:")[-1].split())[:300]
    return InvalidArgumentError(
        f"Cannot read {path} as a Keras model: {reason or type(error).__name__}. Save it again with "
        "model.save('model.keras')."
    )


def _version(path: Path) -> str:
    """Return the version of Keras that wrote a file; `""` where it does not say.

    Raises:
        InvalidArgumentError: it is no file of Keras.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if "config.json" in archive.namelist():
                    return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        else:
            import h5py

            if h5py.is_hdf5(path):
                with h5py.File(path, "r") as file:
                    version = file.attrs.get("keras_version", "")
                    return version.decode() if isinstance(version, bytes) else str(version)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InvalidArgumentError(
            f"{path} is damaged: {error}. Save the model again with model.save('model.keras')."
        ) from error
    raise InvalidArgumentError(
        f"{path} is no Keras model, or was cut off: expected what model.save('model.keras') writes, an .h5 "
        "file, or a SavedModel folder."
    )


def _objects(path: Path) -> dict[str, Any]:
    """Return the classes and functions that a Python file defines, by their names."""
    name = f"tfopt_custom_{path.stem}"
    made = module_of(path, name)
    if made is None:
        raise InvalidArgumentError(f"Cannot read {path}: the name of a Python file must end in .py.")
    module, run = made
    try:
        run()
    except (Exception, SystemExit) as error:
        raise InvalidArgumentError(
            f"{path} cannot be run: {type(error).__name__}: {' '.join(str(error).split())}."
        ) from error
    return {
        key: value
        for key, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == name
    }
