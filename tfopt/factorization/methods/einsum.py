"""The kernel of an EinsumDense as a matrix from the axes that it sums to those that it makes."""

from __future__ import annotations

import dataclasses
import math
import string
from typing import Any, ClassVar

import keras
import numpy as np

from tfopt.factorization.methods.base import Call, Factor, Factorization, Ranks
from tfopt.factorization.methods.svd import TruncatedSVD


@dataclasses.dataclass(frozen=True)
class Product:
    """An equation that is a matrix product over merged axes.

    Attributes:
        inputs, kernel, outputs: the labels of each, with `...` where axes are left unnamed.
        summed, made: the kernel's labels that the input has, and those that the output has.
    """

    inputs: str
    kernel: str
    outputs: str
    summed: str
    made: str

    @classmethod
    def of(cls, equation: str) -> Product | None:
        """Return an equation as a product, None where it is another contraction."""
        operands, outputs = equation.replace(" ", "").split("->")
        inputs, kernel = operands.split(",")
        summed = "".join(label for label in kernel if label in inputs)
        made = "".join(label for label in kernel if label in outputs)
        named = inputs.replace("...", ""), kernel, outputs.replace("...", "")
        kept = [label for label in named[0] if label not in summed]
        whole = sorted(summed + made) == sorted(kernel) and not set(summed) & set(made)
        repeated = any(len(set(labels)) < len(labels) for labels in named)
        if not whole or repeated or not summed or not made or {*kept} != {*named[2]} - {*made}:
            return None
        return cls(inputs, kernel, outputs, summed, made)


class EinsumFactorization(Factorization):
    """Two EinsumDense layers, over one new axis between them.

    Args:
        layer: an EinsumDense.
        product: its equation.
    """

    method: ClassVar[str] = "svd"

    def __init__(self, layer: keras.Layer, product: Product) -> None:
        super().__init__(layer)
        self._product = product
        sizes = dict(zip(product.kernel, map(int, layer.kernel.shape), strict=True))
        self._summed = [sizes[label] for label in product.summed]
        self._made = [sizes[label] for label in product.made]
        self._order = [product.kernel.index(label) for label in product.summed + product.made]
        kernel = layer.kernel.numpy().transpose(self._order)
        self._svd = TruncatedSVD(kernel.reshape(math.prod(self._summed), math.prod(self._made)))
        self.full = (self._svd.rank,)

    def errors(self, *ranks: np.ndarray) -> np.ndarray:
        """Return the tail of the squared singular values."""
        return self._svd.errors[ranks[0]]

    def weights(self, *ranks: Any) -> Any:
        """Return how many weights both have."""
        return ranks[0] * (math.prod(self._summed) + math.prod(self._made))

    def macs(self, call: Call, *ranks: Any) -> Any:
        """Return those of both: each weight is used once for each place of the other axes."""
        return self.weights(*ranks) * math.prod(call.outputs)

    def factors(self, ranks: Ranks) -> list[Factor]:
        """Return the two layers."""
        (rank,) = ranks
        product = self._product
        label = next(each for each in string.ascii_letters if each not in product.inputs + product.kernel)
        kept = "".join(each for each in product.inputs if each not in product.summed)
        between = f"{kept.removesuffix('...')}{label}..." if kept[1:].endswith("...") else kept + label
        first, second = self._svd.factors(rank)
        return [
            Factor(
                {
                    "equation": f"{product.inputs},{product.summed}{label}->{between}",
                    "output_shape": self._between(between, label, rank),
                },
                first.reshape(*self._summed, rank),
            ),
            Factor(
                {"equation": f"{between},{label}{product.made}->{product.outputs}"},
                second.reshape(rank, *self._made),
            ),
        ]

    def approximation(self, ranks: Ranks) -> np.ndarray:
        """Return the product of both."""
        first, second = self._svd.factors(*ranks)
        return (first @ second).reshape(*self._summed, *self._made).transpose(np.argsort(self._order))

    def _between(self, between: str, label: str, rank: int) -> tuple[int | None, ...]:
        """Return the shape between the two as Keras takes it: of the axes that have names, but the batch."""
        given = self.layer.get_config()["output_shape"]
        shape = (given,) if isinstance(given, int) else tuple(given)
        sizes = dict(zip(_after_batch(self._product.outputs), shape, strict=True))
        return tuple(rank if each == label else sizes.get(each) for each in _after_batch(between))


def _after_batch(labels: str) -> str:
    """Return the labels of a layer's `output_shape`: without the batch, which `...` in front holds."""
    return labels[3:] if labels.startswith("...") else labels.replace("...", "")[1:]
