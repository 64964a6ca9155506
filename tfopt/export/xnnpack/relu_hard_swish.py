"""RELU, RELU6 and HARD_SWISH in integers, of operators that XNNPACK takes in int8: it does not take these.

A quantization-aware model has none of them; files of post-training quantization do.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.replace_operator import Replacement

_MOST, _LEAST = 127, -128

_FAR = 2**6
"""XNNPACK computes with scales that, divided by the result's, are within this and its inverse."""

_FINEST = 2**-9
"""In a sum one may be finer."""


def relu(made: Replacement) -> bool:
    """Make a maximum with zero, and a QUANTIZE where the result has another grid; return whether it can."""
    grid, result = made.grid(made.input), made.grid(made.output)
    if not _near(grid[0] / result[0]):
        return False
    shape = made.shape(made.input)
    zero = made.constant("zero", np.full([1] * len(shape), grid[1], np.int8), grid)
    positive = made.output if grid == result else made.tensor("positive", shape, grid)
    made.add("MAXIMUM", [made.input, zero], positive, "MaximumMinimumOptions")
    if grid != result:
        made.add("QUANTIZE", [positive], made.output, "QuantizeOptions")
    return True


def relu6(made: Replacement) -> bool:
    """Make the same where the upper limit of the result is 6; return whether it does."""
    scale, zero_point = made.grid(made.output)
    return scale * (_MOST - zero_point) <= 6.0 + scale / 2 and relu(made)


def hard_swish(made: Replacement) -> bool:
    """Make `x * (relu6(x + 3) / 6)`; return whether the scales allow it."""
    six, one = 6 / (_MOST - _LEAST), 1 / (_MOST - _LEAST)
    scale, result = made.grid(made.input)[0], made.grid(made.output)[0]
    if not (_FINEST <= scale / six <= _FAR and _near(scale / result)):
        return False
    shape = made.shape(made.input)
    ones = [1] * len(shape)
    three = made.constant("three", np.full(ones, _MOST, np.int8), (3 / _MOST, 0))
    moved = made.tensor("moved", shape, (six, _LEAST))
    activation = schema.ActivationFunctionType.RELU6
    made.add("ADD", [made.input, three], moved, "AddOptions", fusedActivationFunction=activation)
    # The same integers in a sixth of the scale.
    sixth = made.constant("sixth", np.ones(ones, np.int8), (1 / 6, 0))
    gate = made.tensor("gate", shape, (one, _LEAST))
    made.add("MUL", [moved, sixth], gate, "MulOptions")
    made.add("MUL", [made.input, gate], made.output, "MulOptions")
    return True


def _near(ratio: float) -> bool:
    return 1 / _FAR <= ratio <= _FAR
