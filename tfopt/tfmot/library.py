"""The one place that imports tensorflow-model-optimization, and reads what it and tf_keras keep private.

Its import changes the process: it sets `TF_USE_LEGACY_KERAS=1` for good. `tf.keras`, which TensorFlow
resolves when it is first touched, then is Keras 2 for the whole process, or, where it was touched before,
`tf.optimizers` and its like become Keras 2 next to a `tf.keras` that is Keras 3.

The quantizers of activations and outputs, and the ranges that they work in, are attributes of the wrappers
of tensorflow-model-optimization 0.8. tf_keras 2.21 keeps the states of its random generators private: they
are no weights, yet a run that resumes needs them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

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


def generator_state(part: Any) -> Any | None:
    """Return the `tf.Variable` with the state of the random generator of dropout and its like.

    tf_keras draws from operations whose state cannot be read, unless it is told to use generators.

    Args:
        part: a module; of one that draws no random numbers None is returned.
    """
    generator = getattr(part, "_random_generator", None)
    if generator is None:
        return None
    generator._rng_type, generator._built = generator.RNG_STATEFUL, False
    generator._maybe_init()
    return generator._generator.state


def weight_quantizers(layer: Any) -> list[tuple[Any, Any, dict[str, Any]]]:
    """Return (weight, quantizer, its range) of each weight of a layer that is quantized."""
    return list(getattr(layer, "_weight_vars", ()))


def quantizers(layer: Any) -> Iterator[tuple[Any, int | None, Any, list[dict[str, Any]]]]:
    """Yield (who holds a quantizer, at which index if it is a list, the quantizer, its ranges) of a layer."""
    if hasattr(layer, "quantizer_vars"):
        yield layer, None, layer.quantizer, [layer.quantizer_vars]
    for activation in getattr(layer, "_quantize_activations", ()):
        names = ("_pre_activation_vars", "_post_activation_vars")
        ranges = [getattr(activation, name) for name in names if hasattr(activation, name)]
        yield activation, None, activation.quantizer, ranges
    outputs = getattr(layer, "_output_quantizers", None)
    if outputs:
        yield outputs, 0, outputs[0], [layer._output_quantizer_vars]


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
