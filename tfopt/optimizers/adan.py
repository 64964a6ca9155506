"""Adan: Adam with Nesterov momentum from gradient differences."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.optimizers import _arguments
from tfopt.optimizers.base import Optimizer


@keras.saving.register_keras_serializable(package="tfopt")
class Adan(Optimizer):
    """Adaptive Nesterov momentum: running averages of the gradient, of its change and of their square.

    With gradient `g`, its change `d` since the last step (0 at the first) and bias-corrected averages
    `m` of `g`, `v` of `d` and `n` of `(g + beta_2 d)^2`:

        p <- (p - learning_rate (m + beta_2 v) / (sqrt(n) + epsilon)) / (1 + learning_rate weight_decay)

    Keeps four numbers a weight: 16 bytes in float32 (Keras's Adam: 8). Rates of 5 to 10 times Adam's are
    usual.

    Reference: Xie et al., Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models
    (2022, arXiv 2208.06677), algorithm 1. The betas here are fractions kept, as in the authors' code: 1 minus
    the paper's.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average change keeps, in [0, 1).
        beta_3: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the average square, > 0.
        weight_decay: >= 0, or `None`; the authors use 0.02. See `exclude_from_weight_decay`.
        no_prox: decay by `p (1 - learning_rate weight_decay)` before the step, as AdamW does, instead of the
            division after it.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = Adan(3e-3, weight_decay=0.02)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        beta_1: float = 0.98,
        beta_2: float = 0.92,
        beta_3: float = 0.99,
        epsilon: float = 1e-8,
        weight_decay: float | None = None,
        no_prox: bool = False,
        name: str = "adan",
        **kwargs: Any,
    ) -> None:
        _arguments.check_betas("Adan", beta_1=beta_1, beta_2=beta_2, beta_3=beta_3)
        _arguments.check_epsilon("Adan", epsilon)
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2, self.beta_3 = beta_1, beta_2, beta_3
        self.epsilon = epsilon
        self.no_prox = no_prox

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for `variables`."""
        if self.built:
            return
        super().build(variables)
        self._gradient_averages = self.add_optimizer_variables(variables, "gradient_average")
        self._change_averages = self.add_optimizer_variables(variables, "change_average")
        self._square_averages = self.add_optimizer_variables(variables, "square_average")
        self._last_gradients = self.add_optimizer_variables(variables, "last_gradient")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one `variable` by its dense `gradient`."""
        index = self._get_variable_index(variable)
        m, v = self._gradient_averages[index], self._change_averages[index]
        n, last = self._square_averages[index], self._last_gradients[index]
        gradient = ops.cast(gradient, variable.dtype)
        lr = ops.cast(learning_rate, variable.dtype)

        # `last` holds zeros before the first step (what build() assigns is lost under fit()), so the change
        # counts from the second on. Scalars are combined first: tensors are what costs.
        had_last = ops.cast(self.iterations > 0, variable.dtype)
        change = gradient - last
        look_ahead = gradient + change * (self.beta_2 * had_last)
        new_m = m * self.beta_1 + gradient * (1 - self.beta_1)
        new_v = v * self.beta_2 + change * ((1 - self.beta_2) * had_last)
        new_n = n * self.beta_3 + ops.square(look_ahead) * (1 - self.beta_3)

        correct_m, correct_v, correct_n = (
            ops.cast(self._bias_correction(beta, variable.dtype), variable.dtype)
            for beta in (self.beta_1, self.beta_2, self.beta_3)
        )
        step = new_m * (lr / correct_m) + new_v * (lr * self.beta_2 / correct_v)
        step = step / (ops.sqrt(new_n) * ops.rsqrt(correct_n) + self.epsilon)
        # A factor near 1 would be rounded; what is taken away is not.
        if not self.decays(variable):
            self.assign_sub(variable, step)
        elif self.no_prox:
            self.assign_sub(variable, step + variable * (lr * self.weight_decay))
        else:
            shrink = lr * self.weight_decay / (1 + lr * self.weight_decay)
            self.assign_sub(variable, step + (variable - step) * shrink)
        for state, value in ((m, new_m), (v, new_v), (n, new_n), (last, gradient)):
            self.assign(state, value)

    def _bias_correction(self, beta: float, dtype: Any) -> Any:
        """Return `1 - beta^t`: the weight that an average started at zero has gathered after `t` updates."""
        # A step count does not fit float16; expm1 keeps the digits that 1 - beta^t loses near beta^t = 1.
        steps = ops.cast(self.iterations + 1, keras.backend.result_type(dtype, "float32"))
        return -ops.expm1(steps * (math.log(beta) if beta else -math.inf))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "beta_3": self.beta_3,
            "epsilon": self.epsilon,
            "no_prox": self.no_prox,
        }
