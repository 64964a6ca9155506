"""Matrices that act on one axis of a tensor each, which SOAP and Shampoo precondition kernels by."""

from collections.abc import Sequence

import tensorflow as tf


def covariance(x: tf.Tensor, axis: int) -> tf.Tensor:
    """Return the inner products of the slices of `x` along `axis`, of shape `(size, size)`."""
    others = [other for other in range(x.shape.rank) if other != axis]
    return tf.tensordot(x, x, [others, others])


def transform(x: tf.Tensor, matrices: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Return `x` with each axis multiplied by its matrix from the right.

    A vector is a diagonal matrix; `None` leaves an axis as it is.
    """
    # An axis taken from the front and put at the back, once for each, leaves them in their order.
    for matrix in matrices:
        if matrix is not None and matrix.shape.rank == 2:
            x = tf.tensordot(x, matrix, [[0], [0]])
        else:
            x = tf.transpose(x, [*range(1, x.shape.rank), 0])
            x = x if matrix is None else x * matrix
    return x


def transform_back(x: tf.Tensor, matrices: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Undo `transform` by orthogonal matrices."""
    return transform(x, [None if matrix is None else tf.transpose(matrix) for matrix in matrices])


def merge_axes(shape: Sequence[int], largest: int) -> tuple[int, ...]:
    """Return `shape` with neighbours multiplied together as long as the product is at most `largest`."""
    merged = []
    product = 1
    for size in shape:
        if product * size <= largest:
            product *= size
        elif product > 1:
            merged.append(product)
            product = size
        else:
            merged.append(size)
    return (*merged, product) if product > 1 or not merged else tuple(merged)
