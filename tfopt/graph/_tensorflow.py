"""The one place of the graph package that touches what TensorFlow keeps private.

TensorFlow 2.21 offers a call that failed to its global dispatchers, the class of which has no public place,
and knows under which name a function is public in a private module. A variable scope that code left changed
can be restored only by its attribute. What `tf.function` returned has no public way to be made anew around
other code with the same options.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.util import tf_export

Dispatcher = tf.__internal__.dispatch.GlobalOpDispatcher
"""A class whose `handle` is asked when a function of TensorFlow fails, once `register` was called."""


def public_name(function: Any) -> str:
    """Return the name under which a function is public in TensorFlow, `"math.add"`; `""` where it is not."""
    return tf_export.get_canonical_name_for_symbol(function) or ""


def around(code: Callable[..., Any], function: tf.types.experimental.PolymorphicFunction) -> Any:
    """Return a `tf.function` of `code` with the options of another one."""
    return function._clone(code)


@contextlib.contextmanager
def variable_scope_kept() -> Iterator[None]:
    """Leave TensorFlow's variable scope as it was.

    `tf.map_fn`, by which Keras multiplies sparse tensors, sets its caching device and does not take it back
    where the traced code fails; no distribution strategy could be entered afterwards.
    """
    scope = tf.compat.v1.get_variable_scope()
    before = scope._caching_device
    try:
        yield
    finally:
        scope._caching_device = before
