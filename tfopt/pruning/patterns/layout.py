"""A kernel as the runtime reads it: matrices of outputs by inputs, an output's inputs side by side."""

from __future__ import annotations

import dataclasses
import functools

import keras
import numpy as np

from tfopt.measure.kernels import Kernel


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the axes of a kernel become (matrices, outputs, inputs).

    LiteRT stores the weights of a fully connected layer as [out, in] and of a convolution as
    [out, h, w, in]; its kernels multiply along the last axis, over which the products are summed. Keras has
    [in, out] and [h, w, in, out]. N:M groups and blocks are those of the runtime.

    Attributes:
        others: the axes of which each index has a matrix of its own, such as height and width.
        outputs: the axes of the rows.
        inputs: the axes of the columns, which a product sums over.
        shape: of the kernel.
    """

    others: tuple[int, ...]
    outputs: tuple[int, ...]
    inputs: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many matrices, outputs and inputs there are."""
        return tuple(  # type: ignore[return-value]
            int(np.prod([self.shape[axis] for axis in axes], dtype=int))
            for axes in (self.others, self.outputs, self.inputs)
        )

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        """Return an array of the kernel's shape as one of shape (matrices, outputs, inputs)."""
        return kernel.transpose(self._order).reshape(self.sizes)

    def kernel(self, matrices: np.ndarray) -> np.ndarray:
        """Return an array of shape (matrices, outputs, inputs) as one of the kernel's shape."""
        ordered = matrices.reshape([self.shape[axis] for axis in self._order])
        return ordered.transpose(np.argsort(self._order))

    @property
    def _order(self) -> tuple[int, ...]:
        return (*self.others, *self.outputs, *self.inputs)


def layout_of(kernel: Kernel) -> Layout:
    """Return how the axes of a kernel lie.

    Dense, recurrent, convolution kernels and all variables of layers of the user's own: the last axis is the
    output, the one before it the input. Transposed convolutions have these two the other way round. The
    equation of an einsum tells which axes it sums over. Depthwise kernels and embeddings of Keras are read
    along their channels.
    """
    return _layout(_kind(kernel), tuple(kernel.variable.shape), _equation(kernel.layer))


@functools.cache
def _layout(kind: str, shape: tuple[int, ...], equation: str | None) -> Layout:
    axes = tuple(range(len(shape)))
    if equation is not None:
        found = _of_einsum(equation, shape)
        if found is not None:
            return found
    if kind == "depthwise":
        return Layout((), axes[:-2], axes[-2:], shape)
    if kind == "table":
        return Layout((), axes[:-1], axes[-1:], shape)
    outputs, inputs = (axes[-2:-1], axes[-1:]) if kind == "transposed" else (axes[-1:], axes[-2:-1])
    return Layout(axes[:-2], outputs, inputs, shape)


def _kind(kernel: Kernel) -> str:
    """Return of which kind the axes are, by the layer alone: finding out its use costs a trace."""
    if kernel.constraint_attribute == "depthwise_constraint":
        return "depthwise"
    if kernel.constraint_attribute == "embeddings_constraint":
        return "table"
    transposed = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
    return "transposed" if isinstance(kernel.layer, transposed) else "matrix"


def _equation(layer: keras.Layer) -> str | None:
    return layer.equation if isinstance(layer, keras.layers.EinsumDense) else None


def _of_einsum(equation: str, shape: tuple[int, ...]) -> Layout | None:
    """Return the layout of the kernel of an `EinsumDense`; None where it sums over none of its axes."""
    left, _, output = "".join(equation.split()).partition("->")
    inputs, _, kernel = left.partition(",")
    axes = range(len(shape))
    summed = tuple(axis for axis in axes if kernel[axis] in inputs and kernel[axis] not in output)
    shared = tuple(axis for axis in axes if kernel[axis] in inputs and kernel[axis] in output)
    rows = tuple(axis for axis in axes if axis not in summed and axis not in shared)
    return Layout(shared, rows, summed, shape) if summed else None
