"""A kernel as a matrix from inputs to outputs, of dense layers and convolutions."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
import numpy as np

from tfopt.factorization.methods.base import Call, Factor, Factorization, Ranks
from tfopt.factorization.methods.svd import TruncatedSVD

POINT = {"padding": "valid", "dilation_rate": 1, "strides": 1, "kernel_size": 1}
"""What the config of a 1x1 convolution has."""


class MatrixFactorization(Factorization):
    """A layer to few channels and one from these: `W = A B`.

    Of a dense layer two dense ones; of a convolution one to `rank` channels, with its kernel's size, strides,
    padding and dilation, and a 1x1 convolution.

    Args:
        layer: a Dense, or a convolution of one group.

    Reference:
        Zhang et al., 2016, Accelerating Very Deep Convolutional Networks for Classification and Detection
        (arXiv 1505.06798), section 3.1.
    """

    method: ClassVar[str] = "svd"

    def __init__(self, layer: keras.Layer) -> None:
        super().__init__(layer)
        self._kernel = layer.kernel.numpy()
        self._inputs, self._outputs = self._kernel.shape[-2:]
        self._taps = math.prod(self._kernel.shape[:-2])
        self._svd = TruncatedSVD(self._kernel.reshape(-1, self._outputs))
        self.full = (self._svd.rank,)

    def errors(self, *ranks: np.ndarray) -> np.ndarray:
        """Return the tail of the squared singular values."""
        return self._svd.errors[ranks[0]]

    def weights(self, *ranks: Any) -> Any:
        """Return how many weights both have."""
        return ranks[0] * (self._taps * self._inputs + self._outputs)

    def macs(self, call: Call, *ranks: Any) -> Any:
        """Return those of both: each weight is used once for each output."""
        return self.weights(*ranks) * math.prod(call.outputs)

    def factors(self, ranks: Ranks) -> list[Factor]:
        """Return the two layers."""
        (rank,) = ranks
        first, second = self._svd.factors(rank)
        first = first.reshape(*self._kernel.shape[:-1], rank)
        if isinstance(self.layer, keras.layers.Dense):
            return [Factor({"units": rank}, first), Factor({}, second)]
        second = second.reshape(*(1 for _ in self._kernel.shape[:-2]), rank, self._outputs)
        return [Factor({"filters": rank}, first), Factor(dict(POINT), second)]

    def approximation(self, ranks: Ranks) -> np.ndarray:
        """Return the product of both."""
        first, second = self._svd.factors(*ranks)
        return (first @ second).reshape(self._kernel.shape)
