"""The cost of operators in LiteRT, as data: by this table `lower` chooses between an operator's lowerings.

Measured by `benchmarks/operators.py --costs` (AMD EPYC, LiteRT 2.3 with XNNPACK, one thread). Only ratios
count; where a lowering wins, it takes 0.02 to 0.3 of the operator's time, which another machine will not
reverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """How much an operator does.

    Attributes:
        elements: how many values it computes; of a pooling, how many it adds up.
        rows: how often it goes along the channels: the values of its output by the size of the last axis.
        inputs: of a pooling, how many values it reads.
    """

    elements: int
    rows: int
    inputs: int = 0


@dataclass(frozen=True)
class OperatorCost:
    """The time that an operator or one lowering of it takes.

    Attributes:
        call: microseconds for each call.
        row, element, input: nanoseconds for each.
    """

    call: float
    row: float
    element: float
    input: float = 0.0

    def microseconds(self, work: Work) -> float:
        """Return how long so much work takes."""
        nanoseconds = self.row * work.rows + self.element * work.elements + self.input * work.inputs
        return self.call + 1e-3 * nanoseconds


AS_IT_IS, IN_FLOAT = "int8", "float"

COSTS: Mapping[tuple[str, str], OperatorCost] = {
    ("AVERAGE_POOL_2D", AS_IT_IS): OperatorCost(0.24, 88, 0.14, 0),
    ("AVERAGE_POOL_2D", "DEPTHWISE_CONV_2D"): OperatorCost(0.36, 8.6, 0.02, 0.012),
    ("AVERAGE_POOL_2D", "DEPTHWISE_CONV_2D + MUL"): OperatorCost(0.4, 11, 0.035, 0.0027),
    ("AVERAGE_POOL_2D", IN_FLOAT): OperatorCost(0.41, 7.2, 0.016, 0.048),
    ("AVERAGE_POOL_2D", "MEAN"): OperatorCost(0.41, 0, 0.025, 0),
    ("PRELU", AS_IT_IS): OperatorCost(0.3, 3.1, 4.2, 0),
    ("PRELU", "DEPTHWISE_CONV_2D"): OperatorCost(0.7, 0.21, 0.24, 0),
    ("PRELU", "MUL"): OperatorCost(0.6, 0.72, 0.3, 0),
    ("PRELU", IN_FLOAT): OperatorCost(0.43, 0.38, 0.12, 0),
    ("RELU", AS_IT_IS): OperatorCost(0.24, 0, 4, 0),
    ("RELU", "MAXIMUM"): OperatorCost(0.54, 0.94, 0.038, 0),
    ("RELU", IN_FLOAT): OperatorCost(0.37, 0.52, 0.042, 0),
    ("RELU6", AS_IT_IS): OperatorCost(0.0037, 21, 4.2, 0),
    ("RELU6", "MAXIMUM"): OperatorCost(0.59, 0.37, 0.048, 0),
    ("RELU6", IN_FLOAT): OperatorCost(0.45, 0.27, 0.041, 0),
    ("HARD_SWISH", AS_IT_IS): OperatorCost(0.37, 0, 3.6, 0),
    ("HARD_SWISH", "ADD + MUL"): OperatorCost(0.39, 0, 0.05, 0),
    ("HARD_SWISH", IN_FLOAT): OperatorCost(0.38, 0, 0.049, 0),
    ("SOFTMAX", AS_IT_IS): OperatorCost(0.38, 1.1, 2.2, 0),
    ("SOFTMAX", IN_FLOAT): OperatorCost(0.48, 24, 0.037, 0),
}
"""Operator and lowering -> its cost. The conversions around a lowering to float are part of it."""
