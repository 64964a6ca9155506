"""The one door to tensorflow-model-optimization, which changes a process that imports it.

Its import sets `TF_USE_LEGACY_KERAS=1` for good. `tf.keras`, which TensorFlow resolves when it is first
touched, then is Keras 2 for the whole process, or, where it was touched before, `tf.optimizers` and its like
become Keras 2 beside a `tf.keras` that is Keras 3.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from tfopt.errors import InvalidArgumentError

_SWITCH = "TF_USE_LEGACY_KERAS"
_TFMOT = "tensorflow_model_optimization"


def tfmot() -> ModuleType:
    """Return the module `tensorflow_model_optimization`; importing it leaves the process as it was.

    Raises:
        InvalidArgumentError: it cannot be imported.
    """
    if _TFMOT not in sys.modules:
        tf_keras()  # while the switch is still as the user has it, for importing it makes TensorFlow look
        with _unchanged():
            _import(_TFMOT)
    return sys.modules[_TFMOT]


def tf_keras() -> ModuleType:
    """Return the module `tf_keras`: Keras 2, whose classes tensorflow-model-optimization wraps."""
    return _import("tf_keras")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidArgumentError(
            f'engine="tfmot" needs {name}, which cannot be imported ({error}). Install '
            "tensorflow-model-optimization, tf-keras and setuptools<81 (for distutils, from Python 3.12 on), "
            'or use engine="keras".'
        ) from error


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Keep the environment, and what `tf.keras` and its like are or will be, through the import."""
    import tensorflow as tf

    dir(tf.keras)  # touched, it resolves to what the user's own environment says, and keeps it
    before = os.environ.get(_SWITCH)
    try:
        with (
            warnings.catch_warnings(),
            _resolved_anew(tf.compat.v1.keras),
            _resolved_anew(tf.compat.v2.keras),
        ):
            # distutils, which it imports, warns that it is old; users cannot fix that.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = before


@contextlib.contextmanager
def _resolved_anew(loader: ModuleType) -> Iterator[None]:
    """Let a lazy `keras` of TensorFlow be Keras 2 for a while, and then what it was.

    The registry of recurrent layers is made of `tf.compat.v1.keras`, which must be Keras 2 for that.
    TensorFlow has no way to ask for it but its switch, which a loader reads once.
    """
    state = object.__getattribute__(loader, "__dict__")
    if not {"_tfll_initialized", "_tfll_parent_module_globals"} <= {*state}:
        yield
        return
    kept, parent = {**state}, state["_tfll_parent_module_globals"]
    name = state["_tfll_name"]
    held = parent.get(name)
    state["_tfll_initialized"] = False
    try:
        yield
    finally:
        state.clear()
        state.update(kept)
        parent[name] = held
