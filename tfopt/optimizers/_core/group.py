"""Groups of variables that are updated together: small ones flattened and concatenated, large ones singly.

A step over many small tensors costs the launch of its operations, not arithmetic: 200 biases joined to one
vector take a third of the time and a fifth of the tracing. Joining large ones only costs copies.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import tensorflow as tf

JOINED_BELOW = 16_384
"""Variables with fewer entries are joined."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which variables make up a group, and where each begins.

    Attributes:
        indices: positions of the variables in the list that the optimizer was built with.
        shapes: their shapes.
        dtype: of the computation: float32 for variables of half precision.
        decays: whether weight decay applies to them.
        joined: several flattened and concatenated to a vector; otherwise one as it is.
    """

    indices: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    decays: bool
    joined: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the gradient, of the weights and of state that holds a number for each weight."""
        return (sum(self.sizes),) if self.joined else self.shapes[0]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each variable."""
        return tuple(math.prod(shape) for shape in self.shapes)

    def join(self, tensors: Sequence) -> tf.Tensor:
        """Return the variables' tensors as one, in the dtype of the computation."""
        if not self.joined:
            return tf.cast(tensors[0], self.dtype)
        return tf.concat([tf.reshape(tf.cast(t, self.dtype), [-1]) for t in tensors], axis=0)

    def split(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """Return the part of each variable, in its shape."""
        if not self.joined:
            return [tensor]
        parts = tf.split(tensor, self.sizes)
        return [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]


class UpdateStep:
    """Number and learning rate of one update, in the dtype of a computation.

    Attributes:
        number: 1 for the first update.
        learning_rate: of this update.
    """

    def __init__(self, number: tf.Tensor, learning_rate: tf.Tensor, dtype: str) -> None:
        self.number = tf.cast(number, dtype)
        self.learning_rate = tf.cast(learning_rate, dtype)

    def bias_correction(self, beta: float) -> tf.Tensor:
        """Return `1 - beta^number`: the weight that an average started at zero has gathered."""
        # Of `beta - 1` no digit is lost, nor of what expm1 returns near beta^t = 1. No logarithm of Python's,
        # for `ScheduleMomentum` makes a beta a variable.
        gap = beta - 1
        gap = tf.cast(gap, self.number.dtype) if tf.is_tensor(gap) else tf.constant(gap, self.number.dtype)
        return -tf.math.expm1(self.number * tf.math.log1p(gap))


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """What an update rule is given of one group.

    Attributes:
        layout: the variables.
        gradient: of shape `layout.shape`, as all tensors here, without duplicate rows, finite.
        weights: before the update.
        state: by slot.
        step: number and learning rate, which all groups share.
    """

    layout: Layout
    gradient: tf.Tensor
    weights: tf.Tensor
    state: Mapping[str, tf.Tensor]
    step: UpdateStep

    def sum(self, x: tf.Tensor) -> tf.Tensor:
        """Return the sum of `x` over each variable by itself, broadcastable to `x`."""
        if not self.layout.joined:
            runs, rest = sums_of_runs(x)
            return tf.reduce_sum(runs) + tf.reduce_sum(rest)
        sizes = self.layout.sizes
        owner = tf.repeat(tf.range(len(sizes)), sizes)
        return tf.gather(tf.math.unsorted_segment_sum(x, owner, len(sizes)), owner)

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """Return the mean of `x` over each variable by itself, broadcastable to `x`."""
        if not self.layout.joined:
            return self.sum(x) / self.layout.sizes[0]  # `x` may end with zeros that are none of the variable
        return self.sum(x) / self.sum(tf.ones_like(x))

    def norm(self, x: tf.Tensor) -> tf.Tensor:
        """Return the L2 norm of `x` over each variable by itself, broadcastable to `x`."""
        return tf.sqrt(self.sum(tf.square(x)))


_RUN = 16
"""Entries of a run: as many as vector instructions take at once."""


def sums_of_runs(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the sums of runs of 16 entries, and the entries that are left: together, the sum of `x`.

    Compiled, one sum of all is three times as slow: XLA adds the entries one after another, in their order.
    """
    flat = tf.reshape(x, [-1])
    whole = math.prod(x.shape) // _RUN * _RUN
    return tf.reduce_sum(tf.reshape(flat[:whole], [-1, _RUN]), axis=1), flat[whole:]


def layouts(
    variables: Sequence[keras.Variable],
    decays: Callable[[keras.Variable], bool],
    joins: Callable[[keras.Variable], bool],
) -> Iterator[Layout]:
    """Yield the groups of `variables`: of each dtype, what `joins` says and what decays alike is joined."""
    together: dict[tuple[str, bool], list[int]] = {}
    for index, variable in enumerate(variables):
        if getattr(variable, "overwrite_with_gradient", False):
            continue
        dtype = keras.backend.result_type(variable.dtype, "float32")
        if joins(variable) and math.prod(variable.shape) < JOINED_BELOW:
            together.setdefault((dtype, decays(variable)), []).append(index)
        else:
            yield Layout((index,), (tuple(variable.shape),), dtype, decays(variable), joined=False)
    for (dtype, decay), indices in together.items():
        shapes = tuple(tuple(variables[i].shape) for i in indices)
        yield Layout(tuple(indices), shapes, dtype, decay, joined=True)
