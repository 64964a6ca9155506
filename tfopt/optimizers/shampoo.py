"""Shampoo: full-matrix preconditioning, one axis of a kernel at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import keras
import tensorflow as tf

from tfopt._hyperparameters import Count, Fraction, NonNegative, Positive, Share, checked, one_of
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group, Layout
from tfopt.optimizers._core.kronecker import covariance, transform


class Grafting(NamedTuple):
    """How a method whose step is grafted scales the gradient.

    Attributes:
        keeps_squares: divides it by the root of the squares so far.
        averages: these are averaged, not summed.
        corrects: the average is corrected for its start at zero.
    """

    keeps_squares: bool
    averages: bool = False
    corrects: bool = False


GRAFTING = {
    "sgd": Grafting(keeps_squares=False),
    "adagrad": Grafting(keeps_squares=True),
    "rmsprop": Grafting(keeps_squares=True, averages=True),
    "adam": Grafting(keeps_squares=True, averages=True, corrects=True),
}

GraftingName = Annotated[str | None, one_of(None, *GRAFTING)]


@keras.saving.register_keras_serializable(package="tfopt")
class Shampoo(Optimizer):
    """Whitens the gradients of a kernel along each of its axes by what they were so far.

    For a kernel of shape `(in, out)` with gradient `G` it sums `L` of `G G'` and `R` of `G' G` (or averages
    them, where `beta_2 < 1`), and with the average gradient `M`:

        p <- p - learning_rate ((L + epsilon)^(-1/4) M (R + epsilon)^(-1/4) + weight_decay p)

    A variable of `k` axes has a matrix for each, to the power of -1 / (2 k). Axes longer than
    `max_preconditioner_dim` use the diagonal of theirs. The roots are found anew every
    `precondition_frequency` updates.

    `grafting` gives each variable's step the length that another method's would have, with `M` for its
    gradient, so that rates tuned for that method do; until `start_preconditioning_step` its step is taken.

    Keeps `2 in^2 + 2 out^2` numbers of a kernel, as many as it has weights for `beta_1 > 0`, and again for
    grafting by other than "sgd": 16 to 24 bytes a weight of a square one in float32 (Keras's Adam: 8). On a
    CPU, an update of a 512 x 512 kernel takes twice as long as Adam's, and 50 times when the roots are found:
    use a frequency of 10 to 100.

    Reference: Gupta et al., Shampoo: Preconditioned Stochastic Tensor Optimization (2018, arXiv 1802.09568),
    algorithms 1 and 2; averages, start and grafting: Shi et al., A Distributed Data-Parallel PyTorch
    Implementation of the Distributed Shampoo Optimizer (2023, arXiv 2309.06497), whose defaults these are.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1); the paper has none: 0.
        beta_2: fraction that `L` and `R` keep, in (0, 1]; at 1 they are sums, as in the paper.
        epsilon: added to the diagonals, > 0. Rounding limits what less than a millionth of a matrix's largest
            eigenvalue does.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        precondition_frequency: updates from one computation of the roots to the next, >= 1.
        start_preconditioning_step: update that computes the first roots, >= 1; by default
            `precondition_frequency`.
        max_preconditioner_dim: longest axis with a full matrix, >= 1.
        precondition_1d: whether vectors have full matrices, too.
        use_bias_correction: of all that is averaged.
        grafting: `"sgd"`, `"adagrad"`, `"rmsprop"`, `"adam"` or `None`.
        grafting_beta_2: fraction that the average square of "rmsprop" and "adam" keeps, in [0, 1).
        grafting_epsilon: added to the root of the square, > 0.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range, or `grafting` is unknown.

    Example:
        >>> optimizer = Shampoo(1e-3, beta_2=0.999, precondition_frequency=20, grafting="adam")
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    fuses = False

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        beta_1: Fraction = 0.9,
        beta_2: Share = 1.0,
        epsilon: Positive = 1e-12,
        weight_decay: NonNegative | None = None,
        precondition_frequency: Count = 1,
        start_preconditioning_step: Count | None = None,
        max_preconditioner_dim: Count = 1024,
        precondition_1d: bool = True,
        use_bias_correction: bool = True,
        grafting: GraftingName = None,
        grafting_beta_2: Fraction = 0.999,
        grafting_epsilon: Positive = 1e-8,
        name: str = "shampoo",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.precondition_frequency = precondition_frequency
        if start_preconditioning_step is None:
            start_preconditioning_step = precondition_frequency
        self.start_preconditioning_step = start_preconditioning_step
        self.max_preconditioner_dim = max_preconditioner_dim
        self.precondition_1d = precondition_1d
        self.use_bias_correction = use_bias_correction
        self.grafting = grafting
        self.grafting_beta_2, self.grafting_epsilon = grafting_beta_2, grafting_epsilon

    def joins(self, variable: keras.Variable) -> bool:
        """Return whether `variable` is a vector that is preconditioned by its diagonal."""
        return len(variable.shape) < 2 and not self._is_full(tuple(variable.shape), 0)

    def create_state(self, layout: Layout) -> dict[str, keras.Variable]:
        """Return the state of a group: averages, and each axis's matrix or its diagonal, and root."""
        state = {}
        if self.beta_1:
            state["gradient_average"] = self.add_state(layout, "gradient_average")
        if self.grafting and GRAFTING[self.grafting].keeps_squares:
            state["grafting_square"] = self.add_state(layout, "grafting_square")
        axes = layout.shape or (1,)
        for axis, size in enumerate(axes):
            full = self._is_full(axes, axis) and not layout.joined
            shape, root = ((size, size), "identity") if full else ((size,), "ones")
            state[f"matrix_{axis}"] = self.add_state(layout, f"matrix_{axis}", shape=shape)
            state[f"root_{axis}"] = self.add_state(layout, f"root_{axis}", shape=shape, initializer=root)
        return state

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        gradient, state = group.gradient, {}
        if self.beta_1:
            state["gradient_average"] = _averaged(group.state["gradient_average"], gradient, self.beta_1)
            gradient = state["gradient_average"]
            if self.use_bias_correction:
                gradient = gradient / group.step.bias_correction(self.beta_1)
        matrices = self._take_up(group)
        roots = self._roots(group, matrices)
        axes = group.layout.shape or (1,)
        direction = transform(tf.reshape(gradient, axes), list(roots.values()))
        direction = tf.reshape(direction, group.layout.shape)
        if self.grafting:
            grafted, squares = self._graft(GRAFTING[self.grafting], gradient, group)
            length = group.norm(grafted) / (group.norm(direction) + 1e-16)
            started = group.step.number >= self.start_preconditioning_step
            direction = tf.where(started, direction * length, grafted)
            state |= squares
        return group.step.learning_rate * direction, state | matrices | roots

    def _take_up(self, group: Group) -> dict[str, tf.Tensor]:
        """Return the matrices, or their diagonals, with the gradient in them."""
        gradient = tf.reshape(group.gradient, group.layout.shape or (1,))
        matrices = {}
        for axis in range(gradient.shape.rank):
            old = group.state[f"matrix_{axis}"]
            if old.shape.rank == 2:
                new = covariance(gradient, axis)
            else:
                others = [other for other in range(gradient.shape.rank) if other != axis]
                new = tf.reduce_sum(tf.square(gradient), axis=others)
            matrices[f"matrix_{axis}"] = old + new if self.beta_2 == 1 else _averaged(old, new, self.beta_2)
        return matrices

    def _roots(self, group: Group, matrices: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the inverse roots of the matrices: new ones if it is time."""
        power = -1 / (2 * len(matrices))
        number = tf.cast(group.step.number, tf.int64)
        correction = 1.0
        if self.use_bias_correction and self.beta_2 < 1:
            correction = group.step.bias_correction(self.beta_2)
        olds = [group.state[f"root_{axis}"] for axis in range(len(matrices))]

        def compute() -> list[tf.Tensor]:
            return [_power(matrix / correction, power, self.epsilon) for matrix in matrices.values()]

        start = self.start_preconditioning_step
        due = (number > start) & (number % self.precondition_frequency == 0) | (number == start)
        roots = tf.cond(due, compute, lambda: olds)
        return {f"root_{axis}": root for axis, root in enumerate(roots)}

    def _graft(
        self, method: Grafting, gradient: tf.Tensor, group: Group
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return the step that the grafted method takes by `gradient`, and its new state."""
        if not method.keeps_squares:
            return gradient, {}
        old, new = group.state["grafting_square"], tf.square(group.gradient)
        square = _averaged(old, new, self.grafting_beta_2) if method.averages else old + new
        correction = group.step.bias_correction(self.grafting_beta_2) if method.corrects else 1.0
        return gradient / (tf.sqrt(square / correction) + self.grafting_epsilon), {"grafting_square": square}

    def _is_full(self, shape: Sequence[int], axis: int) -> bool:
        """Return whether an axis of a variable has a full matrix."""
        if len(shape) < 2 and not (self.precondition_1d and shape):
            return False
        return shape[axis] <= self.max_preconditioner_dim


def _averaged(old: tf.Tensor, new: tf.Tensor, kept: float) -> tf.Tensor:
    return old * kept + new * (1 - kept)


def _power(matrix: tf.Tensor, power: float, epsilon: float) -> tf.Tensor:
    """Return a symmetric matrix, or its diagonal, with `epsilon` on the diagonal, to a power."""
    if matrix.shape.rank == 1:
        return (matrix + epsilon) ** power
    identity = tf.eye(matrix.shape[0], dtype=matrix.dtype)
    values, vectors = tf.linalg.eigh(matrix + epsilon * identity)
    # Rounding can make the least of them too small, or negative. In two steps, since one would round again.
    least = tf.reduce_min(values)
    values = tf.where(least < epsilon, (values - least) + epsilon, values)
    return (vectors * values**power) @ tf.transpose(vectors)
