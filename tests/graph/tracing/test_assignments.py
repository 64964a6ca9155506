"""Assignments in code that is traced."""

import keras
import numpy as np
import pytest

from tfopt.graph import Constant, KeepsState
from tfopt.graph.tracing.assignments import Assignable

MASK = np.array([1.0, 0.0], "float32")


def _assignable(training=None):
    """Return a variable in a trace, the symbol that stands for it, the input and what was changed to what."""
    variable, x, changes = keras.Variable([3.0, 4.0]), keras.Input((2,)), []
    symbol = Constant.holding(variable, "kernel")(x)
    made = Assignable(variable, "kernel", x, lambda *change: changes.append(change), training)
    return made, variable, symbol, x, changes


def test_what_a_second_assignment_leaves_is_read_from_then_on():
    made, variable, symbol, _, changes = _assignable()
    masked = symbol * MASK
    assert made.assign(masked) is masked
    assert changes == [(variable, masked)]
    assert masked.variable is made
    assert variable.numpy().tolist() == [3.0, 4.0]


def test_an_array_is_assigned_as_a_constant():
    made, _, _, _, changes = _assignable()
    value = made.assign(MASK)
    assert isinstance(value, keras.KerasTensor)
    assert changes[0][1] is value


def test_a_counter_keeps_state():
    made, variable, symbol, _, changes = _assignable()
    with pytest.raises(KeepsState, match="it assigns to 'kernel' whenever it is called"):
        made.assign(symbol + 1.0)
    assert not changes
    assert variable.numpy().tolist() == [3.0, 4.0]


def test_a_value_of_the_input_is_state_too():
    made, _, symbol, x, _ = _assignable()
    with pytest.raises(KeepsState):
        made.assign(symbol * keras.ops.sum(x))


def test_in_training_nothing_can_be_assigned():
    made, _, symbol, _, _ = _assignable(training=True)
    with pytest.raises(KeepsState):
        made.assign(symbol * MASK)
