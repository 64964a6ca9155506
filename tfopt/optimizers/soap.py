"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Count, Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group, Layout, UpdateStep
from tfopt.optimizers._core.kronecker import covariance, merge_axes, transform, transform_back


@keras.saving.register_keras_serializable(package="tfopt")
class SOAP(Optimizer):
    """Adam, run where the gradients of a kernel's rows and columns are uncorrelated.

    For a kernel of shape `(in, out)` with gradient `G` it averages `L` of `G G'` and `R` of `G' G`. With
    their eigenvectors as the columns of `Q_L` and `Q_R`, averages `m` of `g = Q_L' G Q_R` and `v` of `g^2`,
    and `s` the number of updates before this one:

        p <- p - learning_rate sqrt(1 - beta_2^s) / (1 - beta_1^s) Q_L (m / (sqrt(v) + epsilon)) Q_R'
        p <- p - learning_rate weight_decay p

    Then `L` and `R` take up `G`, and every `precondition_frequency` updates one step of a power iteration
    and a QR decomposition turn the eigenvectors, to which `m` is carried over. The first update only finds
    the eigenvectors: it moves nothing. A kernel of more axes has a matrix for each. Axes longer than
    `max_precond_dim` are left as they are, and so are vectors: Adam updates those.

    Keeps `2 in out + 2 in^2 + 2 out^2` numbers of a kernel: 24 bytes a weight of a square one in float32
    (Keras's Adam: 8). On a CPU, an update of a 512 x 512 kernel takes 5 times as long as Adam's, and 22 times
    when the eigenvectors turn.

    Reference: Vyas et al., SOAP: Improving and Stabilizing Shampoo using Adam (2024, arXiv 2409.11321),
    algorithm 3, and the authors' code.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the average square (before its correction, as in Keras's Adam), > 0.
        weight_decay: >= 0, or `None`; applied after the step. See `exclude_from_weight_decay`.
        shampoo_beta: fraction that `L` and `R` keep, in [0, 1); by default `beta_2`.
        precondition_frequency: updates from one turn of the eigenvectors to the next, >= 1.
        max_precond_dim: longest axis that has a matrix, >= 1.
        merge_dims: take neighbouring axes for one where that is no longer than `max_precond_dim`: for
            convolutions, whose `(3, 3, in, out)` becomes `(9 in, out)`.
        precondition_1d: precondition vectors, too.
        normalize_grads: give each variable's step the same root mean square; the authors advise it at
            frequencies near 100 and against it near 10.
        correct_bias: of `m` and `v`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(SOAP(3e-3, max_precond_dim=2048), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average", "square_average")
    fuses = False

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 3e-3,
        beta_1: Fraction = 0.95,
        beta_2: Fraction = 0.95,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative | None = 0.01,
        shampoo_beta: Fraction | None = None,
        precondition_frequency: Count = 10,
        max_precond_dim: Count = 10_000,
        merge_dims: bool = False,
        precondition_1d: bool = False,
        normalize_grads: bool = False,
        correct_bias: bool = True,
        name: str = "soap",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2, self.shampoo_beta = beta_1, beta_2, shampoo_beta
        self.epsilon = epsilon
        self.precondition_frequency = precondition_frequency
        self.max_precond_dim = max_precond_dim
        self.merge_dims = merge_dims
        self.precondition_1d = precondition_1d
        self.normalize_grads = normalize_grads
        self.correct_bias = correct_bias

    def joins(self, variable: keras.Variable) -> bool:
        """Return whether no axis of `variable` has a matrix."""
        return not self._preconditioned(variable.shape)

    def create_state(self, layout: Layout) -> dict[str, keras.Variable]:
        """Return the averages of a group, and of each axis that has them the matrix and its eigenvectors."""
        state = super().create_state(layout)
        if not layout.joined:
            axes = self._axes(layout.shape)
            for axis in self._preconditioned(layout.shape):
                for slot in (f"covariance_{axis}", f"basis_{axis}"):
                    state[slot] = self.add_state(layout, slot, shape=(axes[axis], axes[axis]))
        return state

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, step = group.state, group.step
        shape = self._axes(group.layout.shape) if not group.layout.joined else group.layout.shape
        bases = [state.get(f"basis_{axis}") for axis in range(len(shape))]
        gradient = tf.reshape(group.gradient, shape)
        # Nothing is known of the eigenvectors yet; those still at zero give zeros.
        g = tf.where(step.number > 1, transform(gradient, bases), 0.0)
        m = tf.reshape(state["gradient_average"], shape) * self.beta_1 + g * (1 - self.beta_1)
        v = tf.reshape(state["square_average"], shape) * self.beta_2 + tf.square(g) * (1 - self.beta_2)
        direction = transform_back(m / (tf.sqrt(v) + self.epsilon), bases)
        direction = tf.reshape(direction, group.layout.shape)
        if self.normalize_grads:
            direction = direction / (tf.sqrt(group.mean(tf.square(direction))) + 1e-30)
        new = {"gradient_average": m, "square_average": v}
        if any(basis is not None for basis in bases):
            new = self._turn(gradient, m, v, group)
        new |= {slot: tf.reshape(new[slot], group.layout.shape) for slot in self.slots}
        return self._rate(group) * direction, new

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with weight decay after it; the first update moves nothing."""
        rate = tf.where(group.step.number > 1, group.step.learning_rate * self.weight_decay, 0.0)
        return change + (group.weights - change) * rate

    def _rate(self, group: Group) -> tf.Tensor:
        """Return the learning rate with the correction of both averages in it."""
        if not self.correct_bias:
            return group.step.learning_rate
        # The first update is none of Adam's; it moves nothing at any rate.
        updates = UpdateStep(
            tf.maximum(group.step.number - 1, 1), group.step.learning_rate, group.layout.dtype
        )
        correction = tf.sqrt(updates.bias_correction(self.beta_2)) / updates.bias_correction(self.beta_1)
        return updates.learning_rate * correction

    def _turn(self, gradient: tf.Tensor, m: tf.Tensor, v: tf.Tensor, group: Group) -> dict[str, tf.Tensor]:
        """Return matrices with `gradient` in them, the eigenvectors, turned if it is time, and averages."""
        shape = gradient.shape
        axes = [axis for axis in range(shape.rank) if f"basis_{axis}" in group.state]
        kept = self.beta_2 if self.shampoo_beta is None else self.shampoo_beta
        matrices = {}
        for axis in axes:
            old = group.state[f"covariance_{axis}"]
            matrices[axis] = old + (covariance(gradient, axis) - old) * (1 - kept)
        bases = {axis: group.state[f"basis_{axis}"] for axis in axes}

        def find() -> tuple:
            return {axis: _eigenvectors(matrices[axis]) for axis in axes}, m, v

        def turn() -> tuple:
            new, sorted_v = {}, v
            for axis in axes:
                order, new[axis] = _power_iteration(matrices[axis], bases[axis])
                sorted_v = tf.gather(sorted_v, order, axis=axis)
            in_weights = transform_back(m, [bases.get(axis) for axis in range(shape.rank)])
            return new, transform(in_weights, [new.get(axis) for axis in range(shape.rank)]), sorted_v

        def keep() -> tuple:
            return bases, m, v

        found = tf.reduce_any(tf.not_equal(bases[axes[0]], 0))
        due = tf.equal((tf.cast(group.step.number, tf.int64) - 1) % self.precondition_frequency, 0)
        which = tf.where(found, tf.where(due, 1, 2), 0)
        bases, m, v = tf.switch_case(which, [find, turn, keep])
        return {
            "gradient_average": m,
            "square_average": v,
            **{f"covariance_{axis}": matrices[axis] for axis in axes},
            **{f"basis_{axis}": bases[axis] for axis in axes},
        }

    def _axes(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape in which a variable is preconditioned."""
        if self.merge_dims and len(shape) > 1:
            return merge_axes(shape, self.max_precond_dim)
        return tuple(shape)

    def _preconditioned(self, shape: Sequence[int]) -> list[int]:
        """Return the axes, of those of a variable's `_axes`, that have a matrix."""
        if len(shape) < 2 and not self.precondition_1d:
            return []
        return [axis for axis, size in enumerate(self._axes(shape)) if size <= self.max_precond_dim]


def _eigenvectors(matrix: tf.Tensor) -> tf.Tensor:
    """Return the eigenvectors of a symmetric matrix as columns, that of the largest eigenvalue first."""
    size = matrix.shape[0]
    _, vectors = tf.linalg.eigh(matrix + 1e-30 * tf.eye(size, dtype=matrix.dtype))
    return tf.reverse(vectors, [1])


def _power_iteration(matrix: tf.Tensor, basis: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return how columns of `basis` sort by what they catch of `matrix`, and better eigenvectors."""
    shares = tf.reduce_sum(basis * (matrix @ basis), axis=0)
    order = tf.argsort(shares, direction="DESCENDING", stable=True)
    vectors, _ = tf.linalg.qr(matrix @ tf.gather(basis, order, axis=1))
    return order, vectors
