"""FactoredAdam: Adafactor, with the memory that its paper promises."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, NonPositive, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group, Layout


@keras.saving.register_keras_serializable(package="tfopt")
class FactoredAdam(Optimizer):
    """Adafactor: Adam that keeps the average squares of a kernel's rows and columns only.

    With gradient `g`, step number `t` and running averages `R` and `C`, over the rows and the columns of a
    kernel, of `g^2 + epsilon_1`, each of which keeps a fraction `1 - t^beta_2_decay`:

        V = R C / mean(R)                              (of vectors: the running average itself)
        u = g / sqrt(V),  u <- u / max(1, RMS(u) / clip_threshold)
        rate = min(learning_rate, 1 / sqrt(t)) max(RMS(p), epsilon_2)
        p <- p - rate u - learning_rate weight_decay p

    Rows and columns are the last two axes, `in` and `out` of Keras's kernels; a convolution keeps a row and
    a column for each of its positions. That takes 4 (in + out) bytes in place of 4 in out: 0.01 bytes a
    weight of a kernel of 1000 x 1000 (Keras's Adafactor: 4.01), 4 bytes a weight of vectors.

    Reference: Shazeer & Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (2018,
    arXiv 1804.04235), algorithms 4 and 5. As in `torch.optim.Adafactor`, the paper's 0.01 is `learning_rate`;
    `torch` bounds `V` from below where the paper adds `epsilon_1`.

    Args:
        learning_rate: largest relative step, >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that an average of the steps keeps, in [0, 1); above 0 it costs 4 bytes a weight.
        beta_2_decay: power of the step number by which averages of squares take up less of the new, <= 0.
        epsilon_1: added to the squared gradient, > 0.
        epsilon_2: lowest size that a variable is taken to have, > 0.
        clip_threshold: largest root mean square of `u`, > 0, or `None`.
        relative_step: let the rate fall as 1 / sqrt(t) once that is below `learning_rate`.
        scale_parameter: multiply the rate by the size of the variable.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(FactoredAdam(0.01), loss="sparse_categorical_crossentropy")
        >>> adam_like = FactoredAdam(1e-3, relative_step=False, scale_parameter=False)
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        beta_1: Fraction = 0.0,
        beta_2_decay: NonPositive = -0.8,
        epsilon_1: Positive = 1e-30,
        epsilon_2: Positive = 1e-3,
        clip_threshold: Positive | None = 1.0,
        relative_step: bool = True,
        scale_parameter: bool = True,
        weight_decay: NonNegative | None = None,
        name: str = "factored_adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2_decay = beta_1, beta_2_decay
        self.epsilon_1, self.epsilon_2 = epsilon_1, epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step
        self.scale_parameter = scale_parameter

    def joins(self, variable: keras.Variable) -> bool:
        """Return whether `variable` is a vector: kernels need their rows and columns."""
        return len(variable.shape) < 2

    def create_state(self, layout: Layout) -> dict[str, keras.Variable]:
        """Return the averages of a group: of the squares, and of the steps where `beta_1` is not 0."""
        shape = layout.shape
        slots = {"step_average": shape} if self.beta_1 else {}
        if len(shape) < 2:
            slots["square_average"] = shape
        else:
            slots["row_average"] = shape[:-1]
            slots["column_average"] = (*shape[:-2], shape[-1])
        return {slot: self.add_state(layout, slot, shape=of_slot) for slot, of_slot in slots.items()}

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new averages."""
        step, rate = group.step, group.step.learning_rate
        scale, state = self._inverse_root(group)
        u = group.gradient * scale
        if self.relative_step:
            rate = tf.minimum(rate, tf.math.rsqrt(step.number))
        if self.clip_threshold is not None:
            rate = rate / tf.maximum(tf.sqrt(group.mean(tf.square(u))) / self.clip_threshold, 1)
        if self.scale_parameter:
            rate = rate * tf.maximum(tf.sqrt(group.mean(tf.square(group.weights))), self.epsilon_2)
        change = rate * u
        if self.beta_1:
            change = group.state["step_average"] * self.beta_1 + change * (1 - self.beta_1)
            state["step_average"] = change
        return change, state

    def _inverse_root(self, group: Group) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return what the gradient is multiplied by, `1 / sqrt(V)`, and the new averages of squares."""
        square = tf.square(group.gradient) + self.epsilon_1
        weight = group.step.number**self.beta_2_decay

        def average(slot: str, new: tf.Tensor) -> tf.Tensor:
            return group.state[slot] + (new - group.state[slot]) * weight

        if "square_average" in group.state:
            v = average("square_average", square)
            return tf.math.rsqrt(v), {"square_average": v}
        row = average("row_average", tf.reduce_mean(square, axis=-1))
        column = average("column_average", tf.reduce_mean(square, axis=-2))
        # Two roots, since the product of two small averages may be no float32 any more.
        relative = row / tf.reduce_mean(row, axis=-1, keepdims=True)
        scale = tf.math.rsqrt(relative)[..., tf.newaxis] * tf.math.rsqrt(column)[..., tf.newaxis, :]
        return scale, {"row_average": row, "column_average": column}
