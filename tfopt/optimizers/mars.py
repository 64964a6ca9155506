"""MARS: variance reduction from the last gradient, before AdamW or Lion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked, one_of
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update, has_path
from tfopt.optimizers._core.group import Group, Layout


@keras.saving.register_keras_serializable(package="tfopt")
class MARS(Optimizer):
    """Adam or Lion along a gradient that is corrected by its change since the last step.

    For each matrix by itself, with the gradient `g'` of the last step (0 at first):

        c = g + gamma beta_1 / (1 - beta_1) (g - g');  c <- c / max(|c|, 1)
        m <- beta_1 m + (1 - beta_1) c
        v <- beta_2 v + (1 - beta_2) c^2
        p <- p - learning_rate (m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) + weight_decay p)

    or, in mode `"lion"`, `p <- p - learning_rate (sign(m) + weight_decay p)`. All else, which is what has
    not exactly two axes (kernels of convolutions as well, as in the authors' code), takes AdamW with the
    arguments named `..._1d`, decay of 0.1 included, unless `optimize_1d`.

    This is the approximate form: `g'` is the gradient that the last step had, on its own batch, not one of
    this batch at the last weights.

    Keeps three numbers a weight: 12 bytes in float32 (Keras's Adam: 8). Two suffice for matrices in mode
    `"lion"`, and for large variables that take AdamW.

    Reference: Yuan et al., MARS: Unleashing the Power of Variance Reduction for Training Large Models (2024,
    arXiv 2411.10438), algorithms 2 and 3, and the authors' code.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average of `c` keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        gamma: strength of the correction, >= 0.
        epsilon: added to the root of the bias-corrected average square, > 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        mode: `"adamw"` or `"lion"`.
        optimize_1d: use the rule above for all variables.
        learning_rate_1d_factor: what AdamW's rate is of `learning_rate`, >= 0.
        beta_1_1d: fraction that AdamW's average gradient keeps, in [0, 1).
        beta_2_1d: fraction that AdamW's average square keeps, in [0, 1).
        weight_decay_1d: decay under AdamW, >= 0, or `None`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range, or `mode` is unknown.

    Example:
        >>> model.compile(MARS(3e-3, weight_decay=0.01), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average", "square_average", "last_gradient")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 3e-3,
        beta_1: Fraction = 0.95,
        beta_2: Fraction = 0.99,
        gamma: NonNegative = 0.025,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative | None = None,
        mode: Annotated[str, one_of("adamw", "lion")] = "adamw",
        optimize_1d: bool = False,
        learning_rate_1d_factor: NonNegative = 1.0,
        beta_1_1d: Fraction = 0.9,
        beta_2_1d: Fraction = 0.95,
        weight_decay_1d: NonNegative | None = 0.1,
        name: str = "mars",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.gamma = gamma
        self.epsilon = epsilon
        self.mode = mode
        self.optimize_1d = optimize_1d
        self.learning_rate_1d_factor = learning_rate_1d_factor
        self.beta_1_1d, self.beta_2_1d = beta_1_1d, beta_2_1d
        self.weight_decay_1d = weight_decay_1d

    def corrects(self, shape: Sequence[int]) -> bool:
        """Return whether a variable of `shape` has its gradient corrected; the others take AdamW."""
        return self.optimize_1d or len(shape) == 2

    def decays(self, variable: Any) -> bool:
        """Return whether weight decay applies to `variable`."""
        decay = self.weight_decay if self.corrects(variable.shape) else self.weight_decay_1d
        return bool(decay) and not has_path(variable, self._decay_exclusions)

    def create_state(self, layout: Layout) -> dict[str, keras.Variable]:
        """Return the state of a group by slot: what the rules of its variables need."""
        corrected = [self.corrects(shape) for shape in layout.shapes]
        needless = set()
        if not any(corrected):
            needless.add("last_gradient")
        elif self.mode == "lion" and all(corrected):
            needless.add("square_average")
        return {slot: self.add_state(layout, slot) for slot in self.slots if slot not in needless}

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, step, gradient = group.state, group.step, group.gradient
        new = {}
        if "last_gradient" in state:
            new["last_gradient"] = gradient
            factor = self.gamma * self.beta_1 / (1 - self.beta_1)
            corrected = gradient + (gradient - state["last_gradient"]) * factor
            corrected *= 1 / tf.maximum(group.norm(corrected), 1.0)
            gradient = self._choose(group, corrected, gradient)
        kept, taken = self._shares(group, self.beta_1, self.beta_1_1d)
        m = new["gradient_average"] = state["gradient_average"] * kept + gradient * taken
        rate = self._choose(group, step.learning_rate, step.learning_rate * self.learning_rate_1d_factor)
        if "square_average" not in state:
            return tf.sign(m) * rate, new
        kept, taken = self._shares(group, self.beta_2, self.beta_2_1d)
        v = new["square_average"] = state["square_average"] * kept + tf.square(gradient) * taken
        gathered_1, gathered_2 = (
            self._choose(group, step.bias_correction(one), step.bias_correction(other))
            for one, other in ((self.beta_1, self.beta_1_1d), (self.beta_2, self.beta_2_1d))
        )
        root = tf.sqrt(gathered_2)  # a division a weight less
        change = m * (rate * root / gathered_1) / (tf.sqrt(v) + self.epsilon * root)
        if self.mode == "lion":
            change = self._choose(group, tf.sign(m) * rate, change)
        return change, new

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with weight decay in it."""
        rate = group.step.learning_rate
        other = rate * self.learning_rate_1d_factor * (self.weight_decay_1d or 0.0)
        return change + group.weights * self._choose(group, rate * (self.weight_decay or 0.0), other)

    def _shares(self, group: Group, corrected: float, other: float) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what an average keeps and what it takes, given the betas of both rules."""
        dtype = group.layout.dtype
        one, two = ((tf.constant(x, dtype) for x in (beta, 1 - beta)) for beta in (corrected, other))
        kept, taken = (self._choose(group, a, b) for a, b in zip(one, two, strict=True))
        return kept, taken

    def _choose(self, group: Group, corrected: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """Return for each weight the one or the other, by the rule that its variable takes."""
        layout = group.layout
        kinds = [self.corrects(shape) for shape in layout.shapes]
        if all(kinds):
            return corrected
        return tf.where(tf.repeat(kinds, layout.sizes), corrected, other) if any(kinds) else other
