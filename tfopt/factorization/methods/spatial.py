"""A convolution over two axes as one along each."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from tfopt.factorization.methods.base import Call, Factor, Factorization, Ranks
from tfopt.factorization.methods.svd import TruncatedSVD


class SpatialFactorization(Factorization):
    """A convolution with a column to few channels, and one with a row from these.

    Strides, dilation and padding of each axis go with it. The first runs on outputs already along its axis,
    so that it costs less the larger the strides.

    Args:
        layer: a Conv2D of one group with a kernel of more than one row and more than one column.

    Reference:
        Jaderberg et al., 2014, Speeding up Convolutional Neural Networks with Low Rank Expansions (arXiv
        1405.3866), scheme 2; the closed form is from Tai et al., 2016 (arXiv 1511.06067).
    """

    method: ClassVar[str] = "spatial"

    def __init__(self, layer: keras.Layer) -> None:
        super().__init__(layer)
        kernel = layer.kernel.numpy()
        self._shape = tuple(map(int, kernel.shape))
        rows, columns, inputs, outputs = self._shape
        self._first, self._second = rows * inputs, columns * outputs
        matrix = kernel.transpose(0, 2, 1, 3).reshape(self._first, self._second)
        self._svd = TruncatedSVD(matrix)
        self.full = (self._svd.rank,)

    def errors(self, *ranks: np.ndarray) -> np.ndarray:
        """Return the tail of the squared singular values."""
        return self._svd.errors[ranks[0]]

    def weights(self, *ranks: Any) -> Any:
        """Return how many weights both have."""
        return ranks[0] * (self._first + self._second)

    def macs(self, call: Call, *ranks: Any) -> Any:
        """Return those of both: the first makes all columns of the inputs."""
        (height, width), columns = call.outputs, call.inputs[1]
        return ranks[0] * height * (self._first * columns + self._second * width)

    def factors(self, ranks: Ranks) -> list[Factor]:
        """Return the two convolutions."""
        (rank,) = ranks
        rows, columns, inputs, outputs = self._shape
        first, second = self._svd.factors(rank)
        strides, dilation = tuple(self.layer.strides), tuple(self.layer.dilation_rate)
        return [
            Factor(
                {
                    "filters": rank,
                    "kernel_size": (rows, 1),
                    "strides": (strides[0], 1),
                    "dilation_rate": (dilation[0], 1),
                },
                first.reshape(rows, 1, inputs, rank),
            ),
            Factor(
                {
                    "kernel_size": (1, columns),
                    "strides": (1, strides[1]),
                    "dilation_rate": (1, dilation[1]),
                },
                second.reshape(rank, columns, outputs).transpose(1, 0, 2)[None],
            ),
        ]

    def approximation(self, ranks: Ranks) -> np.ndarray:
        """Return the product of both."""
        rows, columns, inputs, outputs = self._shape
        first, second = self._svd.factors(*ranks)
        return (first @ second).reshape(rows, inputs, columns, outputs).transpose(0, 2, 1, 3)
