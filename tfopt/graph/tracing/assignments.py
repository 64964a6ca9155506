"""Assignments to variables in code that is traced: what is assigned is what the code reads afterwards.

A graph keeps no state. It computes the same as the code where a second assignment changes nothing, as that of
a kernel under a mask; a counter is another thing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.layers.constant import Constant, as_array
from tfopt.graph.tracing.not_symbolic import KeepsState


class Assignable:
    """A variable in a trace.

    Args:
        variable: private to the trace.
        name: what an error message calls it.
        reference: the symbolic tensor that stands where constants are called.
        change: is told the variable and the tensor that stands for it from now on.
        training: whether the code runs in training.
    """

    def __init__(
        self,
        variable: Any,
        name: str,
        reference: keras.KerasTensor,
        change: Callable[[Any, Any], None],
        training: bool | None,
    ) -> None:
        self._variable, self._name, self._reference = variable, name, reference
        self._change, self._training = change, training

    def assign(self, value: Any) -> Any:
        """Take what code assigns, and return it.

        Raises:
            KeepsState: assigning again would change more, or the value depends on the input.
        """
        if not isinstance(value, keras.KerasTensor):
            value = Constant.of(np.asarray(value), self._name)(self._reference)
        if self._training or not self._settles(value):
            raise KeepsState(
                f"it assigns to {self._name!r} whenever it is called, and a file keeps no state. "
                "Compute with the value and leave the variable as it is, as in kernel = self.kernel * "
                "self.mask; or let the model take the state as an input and return the new one"
            )
        value.variable = self
        self._change(self._variable, value)
        return value

    def _settles(self, value: keras.KerasTensor) -> bool:
        """Return whether a second assignment leaves the variable as the first one made it."""
        before = as_array(self._variable)
        try:
            first = self._computed(value)
            self._variable.assign(first)
            second = self._computed(value)
        except _OfInput:
            return False
        finally:
            self._variable.assign(before)
        return bool(np.allclose(first, second, rtol=1e-5, atol=1e-7))

    def _computed(self, value: keras.KerasTensor) -> np.ndarray:
        """Return the value of a tensor that is made of variables alone."""
        known: dict[int, Any] = {}

        def fill(x: Any) -> Any:
            if not isinstance(x, keras.KerasTensor):
                return x
            if id(x) not in known:
                raise _OfInput
            return known[id(x)]

        for call in _keras.calls_between(value, [self._reference]):
            if isinstance(call.operation, Constant):
                results = [tf.convert_to_tensor(as_array(call.operation.value))]
            else:
                args, kwargs = keras.tree.map_structure(fill, (call.args, call.kwargs))
                results = keras.tree.flatten(call.operation(*args, **kwargs))
            known.update({id(x): result for x, result in zip(call.outputs, results, strict=True)})
        return as_array(fill(value))


class _OfInput(Exception):
    """A value depends on the input."""
