"""The trainable weights of a model as one vector of float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.pruning.mask import SparsityMask, constraint_of


class WeightVector:
    """Reads and writes the trainable weights of `model`, one after another in one vector.

    Pruned entries, those where the variable's constraint is a `SparsityMask` that says so, are set to zero
    and are not part of the vector.

    Raises:
        InvalidArgumentError: the model is not built, has no trainable weights, or is replicated.
        UnsupportedModel: weights or layers are of 16 bits, or a variable has a constraint other than a mask.
    """

    def __init__(self, model: keras.Model) -> None:
        if not isinstance(model, keras.Model):
            raise InvalidArgumentError(f"Expected a keras.Model, got {type(model).__name__}.")
        if not model.built:
            raise InvalidArgumentError(
                f"The model {model.name!r} has no weights yet: call it on a batch, or use "
                "model.build(input_shape)."
            )
        self.variables = list(model.trainable_variables)
        if not self.variables:
            raise InvalidArgumentError(
                f"The model {model.name!r} has no trainable weights: set trainable=True on the layers that "
                "are to learn."
            )
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise InvalidArgumentError(
                "Full-batch training runs on one device: make the model outside of the distribution strategy."
            )
        _check_precision(model, self.variables)
        self._sizes = [int(np.prod(tuple(v.shape))) for v in self.variables]
        kept = np.concatenate([_kept(v) for v in self.variables])
        self._kept = None if kept.all() else np.flatnonzero(kept)
        self._total = kept.size
        self.size = int(kept.sum())
        """The number of weights that are trained."""
        if not self.size:
            raise InvalidArgumentError(
                "Every trainable weight of the model is pruned; nothing can be trained."
            )
        self._assign = tf.function(
            self._assign_all, input_signature=[tf.TensorSpec((self._total,), "float64")], autograph=False
        )

    @property
    def dtype(self) -> str:
        """`"float64"` where all variables are, else `"float32"`."""
        return min(keras.backend.standardize_dtype(v.dtype) for v in self.variables)

    def read(self) -> np.ndarray:
        """Return the weights."""
        return self.select(np.concatenate([v.numpy().ravel() for v in self.variables]).astype(np.float64))

    def write(self, vector: np.ndarray) -> None:
        """Set the weights, each rounded to the dtype of its variable."""
        self._assign(self.spread(vector))

    def equal(self, first: np.ndarray, second: np.ndarray) -> bool:
        """Return whether two vectors are the same weights once they are rounded."""
        with np.errstate(over="ignore"):
            return np.array_equal(first.astype(self.dtype), second.astype(self.dtype))

    def select(self, entries: np.ndarray) -> np.ndarray:
        """Return what belongs to trained weights of one number for each entry of the variables."""
        return entries if self._kept is None else entries[self._kept]

    def spread(self, vector: np.ndarray) -> np.ndarray:
        """Return one number for each entry of the variables, 0 for pruned ones."""
        if self._kept is None:
            return vector
        entries = np.zeros(self._total)
        entries[self._kept] = vector
        return entries

    def split(self, entries: Any) -> list[Any]:
        """Return a flat tensor in the shapes and dtypes of the variables."""
        return [
            tf.cast(tf.reshape(piece, v.shape), v.dtype)
            for v, piece in zip(self.variables, tf.split(entries, self._sizes), strict=True)
        ]

    def join(self, tensors: list[Any]) -> Any:
        """Return tensors of the variables' shapes as one float64 tensor; zeros for None."""
        dense = (
            tf.zeros(v.shape, "float64") if t is None else tf.cast(tf.convert_to_tensor(t), "float64")
            for v, t in zip(self.variables, tensors, strict=True)
        )
        return tf.concat([tf.reshape(t, (-1,)) for t in dense], 0)

    def _assign_all(self, entries: Any) -> None:
        for variable, value in zip(self.variables, self.split(entries), strict=True):
            variable.assign(value)


def _kept(variable: keras.Variable) -> np.ndarray:
    """Return for each entry of a variable whether it is trained."""
    constraint = constraint_of(variable)
    if constraint is None:
        return np.ones(int(np.prod(tuple(variable.shape))), bool)
    if not isinstance(constraint, SparsityMask) or constraint.constraint is not None:
        inner = constraint.constraint if isinstance(constraint, SparsityMask) else constraint
        raise UnsupportedModel(
            f"{variable.path} has the constraint {type(inner).__name__}, and a line search cannot keep it: "
            "remove the constraint, or use a first-order optimizer. Only pruning masks are kept."
        )
    if constraint.plan is not None:
        raise UnsupportedModel(
            f"{variable.path} is to be pruned further while it trains, and full-batch training cannot do "
            "that: prune it first, by tfopt.prune(model, sparsity) without a schedule."
        )
    return constraint.value.ravel()


def _check_precision(model: keras.Model, variables: list[keras.Variable]) -> None:
    found = {keras.backend.standardize_dtype(v.dtype) for v in variables}
    found |= {layer.compute_dtype for layer in _layers(model) if layer.compute_dtype}
    if low := sorted(d for d in found if d not in ("float32", "float64") and keras.backend.is_float_dtype(d)):
        raise UnsupportedModel(
            f"The model computes in {' and '.join(low)}, too coarse for a line search: make it with "
            'dtype="float32", or "float64" for the last digits.'
        )


def _layers(layer: keras.Layer) -> Iterator[keras.Layer]:
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _layers(inner)
