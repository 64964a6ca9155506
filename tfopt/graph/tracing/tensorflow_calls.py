"""Recording of TensorFlow's functions on symbolic tensors, by TensorFlow's own dispatch.

TensorFlow offers a call that failed to its global dispatchers. The one dispatcher here handles it only where
a trace runs in the same context and was given a symbolic tensor; for everybody else the call fails as before.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import logging
import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import _tensorflow
from tfopt.graph.functions import segment_functions, signal_functions
from tfopt.graph.functions.complex_numbers import Complex
from tfopt.graph.functions.tensorflow_functions import FUNCTIONS

logger = logging.getLogger(__name__)


class Recording:
    """Notes of a trace.

    Attributes:
        refused: the function of TensorFlow that was called last on a symbolic tensor without a rule.
    """

    refused: str | None = None


_RECORDING: contextvars.ContextVar[Recording | None] = contextvars.ContextVar("recording", default=None)


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """Let TensorFlow's functions take symbolic tensors, in this context alone."""
    _register()
    made = Recording()
    token = _RECORDING.set(made)
    try:
        yield made
    finally:
        _RECORDING.reset(token)


class _Dispatcher(_tensorflow.Dispatcher):
    def handle(self, op: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        recorded = _RECORDING.get()
        values = keras.tree.flatten((args, kwargs))
        if recorded is None or not any(isinstance(value, (keras.KerasTensor, Complex)) for value in values):
            return self.NOT_SUPPORTED
        name = _tensorflow.public_name(op)
        of_complex = any(isinstance(value, Complex) for value in values)
        function = (_of_complex if of_complex else _functions)().get(name)
        recorded.refused = f"tf.{name or op.__name__}"
        if function is None:
            logger.debug("%s has no equivalent for symbolic tensors", recorded.refused)
            return self.NOT_SUPPORTED
        try:
            given = _bound(function, op, args, kwargs)
        except TypeError:  # the TensorFlow 1 form of a function, which that of TensorFlow 2 calls
            return self.NOT_SUPPORTED
        try:
            result = function(*given.args, **given.kwargs)
        except NotImplementedError as error:
            recorded.refused = f"tf.{name} ({error})"
            return self.NOT_SUPPORTED
        recorded.refused = None
        return result


def _bound(
    function: Callable[..., Any], op: Any, args: tuple, kwargs: dict[str, Any]
) -> inspect.BoundArguments:
    """Return the arguments of `op` as `function` takes them, without those that say nothing."""
    signature = inspect.signature(function)
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in signature.parameters.values()):
        return signature.bind(*args, **{key: value for key, value in kwargs.items() if key != "name"})
    named = inspect.signature(op).bind(*args, **kwargs).arguments
    kept = {
        key: value
        for key, value in named.items()
        if key in signature.parameters or (value is not None and key != "name")
    }
    return signature.bind(**kept)


@functools.cache
def _functions() -> dict[str, Callable[..., Any]]:
    return _by_canonical_name({**FUNCTIONS, **segment_functions.FUNCTIONS, **signal_functions.FUNCTIONS})


@functools.cache
def _of_complex() -> dict[str, Callable[..., Any]]:
    shaping = {path: _of_each_part(FUNCTIONS[path]) for path in signal_functions.SHAPING}
    return _by_canonical_name({**shaping, **signal_functions.OF_COMPLEX})


def _by_canonical_name(table: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    return {
        _tensorflow.public_name(operator.attrgetter(path)(tf)): function for path, function in table.items()
    }


def _of_each_part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what does to complex tensors what `function` does to real ones."""

    @functools.wraps(function)
    def entry(*args: Any, **kwargs: Any) -> Any:
        def of(part: str) -> Any:
            own_args, own_kwargs = keras.tree.map_structure(
                lambda value: getattr(value, part) if isinstance(value, Complex) else value, (args, kwargs)
            )
            return function(*own_args, **own_kwargs)

        return keras.tree.map_structure(Complex, of("real"), of("imaginary"))

    return entry


_LOCK = threading.Lock()
_REGISTERED: list[_Dispatcher] = []


def _register() -> None:
    """Add the dispatcher when it is needed first: importing tfopt changes nothing."""
    with _LOCK:
        if not _REGISTERED:
            _REGISTERED.append(_Dispatcher())
            _REGISTERED[0].register()
