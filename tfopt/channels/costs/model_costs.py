"""Multiply-accumulates, weights and bytes of a model as functions of the units that are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from tfopt import graph
from tfopt.channels.costs.bytes_of_weights import bytes_of_weights
from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.channels.costs.terms import Terms
from tfopt.channels.groups import Dependencies, Slice
from tfopt.measure.products import products_of, size_of


class ModelCosts:
    """What a model costs when some of its units are removed.

    Built once in time linear in the number of operations; evaluating it is a few products of matrices.

    Args:
        dependencies: of the model.
        scheme: in which the file will be written, by name.

    Attributes:
        dependencies: the same.
        sizes: of the axes that `terms` multiply.
        terms: `"macs"` and `"params"`, both exact, and `"bytes"`: of the weights alone, without what else a
            file holds.

    Raises:
        InvalidArgumentError: the model leaves a size other than the batch's open.
    """

    def __init__(self, dependencies: Dependencies, scheme: str = "float32") -> None:
        self.dependencies = dependencies
        self.sizes = AxisSizes(dependencies.groups)
        sliced: dict[int, list[Slice]] = {}
        for part in dependencies.slices:
            sliced.setdefault(id(part.variable), []).append(part)
        weights = {id(variable): variable for variable in dependencies.model.weights}
        size = {key: self._size(variable, sliced.get(key, ())) for key, variable in weights.items()}
        stored = bytes_of_weights(dependencies.model, scheme)
        self.terms: Mapping[str, Terms] = {
            "macs": Terms(self._products(size)),
            "params": Terms(size.values()),
            "bytes": Terms(
                (factor * stored[key], rows) for key, (factor, rows) in size.items() if stored.get(key)
            ),
        }

    def evaluate(self, keep: np.ndarray) -> dict[str, float]:
        """Return metric -> cost where `keep`, of shape `(units,)`, tells which units stay."""
        sizes = self.sizes.at(keep)
        return {name: float(terms.at(sizes)) for name, terms in self.terms.items()}

    def _size(self, variable: keras.Variable, slices: Iterable[Slice]) -> tuple[float, tuple[int, ...]]:
        """Return how many weights a variable has, as a factor and the rows that multiply it."""
        cut = {part.axis % len(variable.shape): self.sizes.row(part.units) for part in slices}
        fixed = [size for axis, size in enumerate(variable.shape) if axis not in cut]
        return float(np.prod(fixed, dtype=float)), tuple(cut.values())

    def _products(
        self, size: dict[int, tuple[float, tuple[int, ...]]]
    ) -> Iterable[tuple[float, tuple[int, ...]]]:
        for node in graph.nodes(graph.without_losses(self.dependencies.model)):
            for product in products_of(node):
                factor, rows = size[id(product.kernel)]
                for tensor, axis in product.positions:
                    units = self.dependencies.axes.get(id(tensor), (None,) * len(tensor.shape))[axis]
                    if units is None:
                        factor *= size_of(product.path, tensor, axis)
                    else:
                        rows = (*rows, self.sizes.row(units))
                yield factor, rows
