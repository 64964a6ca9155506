"""What all ways to factorize a kernel have in common."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np

Ranks = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Call:
    """The sizes of one call of a layer, batch and channels aside.

    Attributes:
        inputs, outputs: at how many places the layer reads and writes along each axis.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Factor:
    """One of the layers that come in the place of another.

    Attributes:
        config: what differs from the config of the layer.
        kernel: its weights.
    """

    config: dict[str, Any]
    kernel: np.ndarray


class Factorization(abc.ABC):
    """The kernel of one layer as a product of smaller ones.

    Args:
        layer: whose kernel it is.

    Attributes:
        full: the ranks with which the product is the kernel itself.
    """

    method: ClassVar[str]
    """As `tfopt.low_rank` calls it."""
    full: Ranks

    def __init__(self, layer: keras.Layer) -> None:
        self.layer = layer

    @abc.abstractmethod
    def errors(self, *ranks: np.ndarray) -> np.ndarray:
        """Return the squared error by the squared norm of the kernel, in [0, 1].

        Args:
            ranks: integers of shapes that broadcast, one array for each of `full`.
        """

    @abc.abstractmethod
    def weights(self, *ranks: Any) -> Any:
        """Return how many weights all factors have together, without the bias. Args: as `errors`."""

    @abc.abstractmethod
    def macs(self, call: Call, *ranks: Any) -> Any:
        """Return the multiply-accumulates of one call of all factors. Args: as `errors`."""

    @abc.abstractmethod
    def factors(self, ranks: Ranks) -> list[Factor]:
        """Return the layers, in the order in which they run, for ranks from 1 to `full`."""

    @abc.abstractmethod
    def approximation(self, ranks: Ranks) -> np.ndarray:
        """Return the product of the factors, of the kernel's shape."""

    def extra_layers(self, *ranks: Any) -> Any:
        """Return how many layers more there are. Args: as `errors`."""
        return np.ones(np.broadcast_shapes(*(np.shape(each) for each in ranks)), int)

    def error(self, ranks: Ranks) -> float:
        """Return the squared error by the squared norm that `factors(ranks)` has."""
        return float(self.errors(*map(np.asarray, ranks)))
