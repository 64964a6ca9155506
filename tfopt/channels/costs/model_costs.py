"""Multiply-accumulates, weights and bytes of a model as functions of the units that are kept."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np

from tfopt import graph
from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.channels.costs.bytes_of_weights import bytes_of_weights
from tfopt.channels.costs.metric import Metric
from tfopt.channels.costs.terms import Term, Terms
from tfopt.channels.groups import Dependencies, Slice
from tfopt.errors import InvalidArgumentError
from tfopt.measure.arithmetic import macs
from tfopt.measure.products import products
from tfopt.measure.sizes import Sizes


class ModelCosts:
    """What a model costs when some of its units are removed.

    Built once in time linear in the number of operations; evaluating it is a few products of matrices.

    Args:
        dependencies: of the model.
        scheme: in which the file will be written, by name.

    Attributes:
        dependencies: the same.
        sizes: of the axes that `metrics` multiply.
        metrics: `"params"` and, where the model leaves no size but the batch's open, `"macs"`, both exact;
            `"bytes"`: of the weights alone, without what else a file holds. Whoever measures files adds
            `"latency"`.
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
        self.metrics: dict[str, Metric] = {
            "params": Terms(size.values()),
            "bytes": Terms(
                (factor * stored[key], rows) for key, (factor, rows) in size.items() if stored.get(key)
            ),
        }
        self._model = graph.without_losses(dependencies.model)
        self._tensors = Sizes(self._model)
        self._open: InvalidArgumentError | None = None
        try:
            self._macs = Terms(self._products(size))
            self.metrics["macs"] = self._macs
        except InvalidArgumentError as error:
            self._open = error

    def require_sizes(self) -> None:
        """Raise where multiply-accumulates, and so a file, depend on sizes that the model leaves open.

        Raises:
            InvalidArgumentError: they do.
        """
        if self._open is not None:
            raise self._open

    def evaluate(self, keep: np.ndarray) -> dict[str, float]:
        """Return metric -> cost where `keep`, of shape `(units,)`, tells which units stay."""
        sizes = self.sizes.at(keep)
        return {name: float(metric.at(sizes)) for name, metric in self.metrics.items()}

    def add_tensors(self) -> None:
        """Add the axes of all tensors of the model to `sizes`, which has those of its weights."""
        for axes in self.dependencies.axes.values():
            for units in axes:
                if units is not None:
                    self.sizes.row(units)

    def work(self) -> Terms:
        """Return multiply-accumulates and values of tensors together, as rough a measure of time as any."""
        terms = list(self._macs)
        for node in graph.nodes(self._model):
            terms += [self._values(node.path, tensor) for tensor in node.outputs]
        return Terms(terms)

    def _values(self, path: str, tensor: keras.KerasTensor) -> Term:
        """Return how many values a tensor has."""
        factor, rows = 1.0, tuple[int, ...]()
        for axis, units in enumerate(self.dependencies.axes.get(id(tensor), (None,) * len(tensor.shape))):
            if units is not None:
                rows = (*rows, self.sizes.row(units))
            elif axis:
                factor *= self._tensors.of(path, tensor, axis)
        return factor, rows

    def _size(self, variable: keras.Variable, slices: Iterable[Slice]) -> Term:
        """Return how many weights a variable has, as a factor and the rows that multiply it."""
        cut = {part.axis % len(variable.shape): self.sizes.row(part.units) for part in slices}
        fixed = [size for axis, size in enumerate(variable.shape) if axis not in cut]
        return float(np.prod(fixed, dtype=float)), tuple(cut.values())

    def _products(self, size: dict[int, Term]) -> Iterable[Term]:
        for product in products(graph.nodes(self._model), self._tensors, macs):
            factor, rows = (1.0, ()) if product.kernel is None else size[id(product.kernel)]
            factor *= product.factor
            for tensor, axis in product.positions:
                units = self.dependencies.axes.get(id(tensor), (None,) * len(tensor.shape))[axis]
                if units is None:
                    factor *= self._tensors.of(product.path, tensor, axis)
                else:
                    rows = (*rows, self.sizes.row(units))
            yield factor, rows
