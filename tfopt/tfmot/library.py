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


_KERAS_2 = {
    "tensorflow": "tf_keras.api._v2.keras",
    "tensorflow.compat.v1": "tf_keras.api._v1.keras",
    "tensorflow.compat.v2": "tf_keras.api._v2.keras",
}
"""Module with an attribute `keras` that resolves when it is touched -> what it must be for this import."""


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Keep the environment, and what `tf.keras` is or will be, through the import."""
    import tensorflow as tf

    modules = {"tensorflow": tf, "tensorflow.compat.v1": tf.compat.v1, "tensorflow.compat.v2": tf.compat.v2}
    keras_before = {name: vars(module)["keras"] for name, module in modules.items()}
    switch_before = os.environ.get(_SWITCH)
    try:
        for name, module in modules.items():
            vars(module)["keras"] = _import(_KERAS_2[name])
        with warnings.catch_warnings():
            # distutils, which it imports, warns that it is old; users cannot mend that.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for name, module in modules.items():
            vars(module)["keras"] = keras_before[name]
        if switch_before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = switch_before
