"""Weight decay that is decoupled or, as an option, L2 regularization."""

from typing import Any

import tensorflow as tf

from tfopt.optimizers._core.base import Optimizer
from tfopt.optimizers._core.group import Group


class CoupledDecay(Optimizer):
    """Base of optimizers whose weight decay can be coupled with the gradient.

    Args:
        learning_rate: of `Optimizer`.
        decoupled_weight_decay: subtract `learning_rate weight_decay p`; otherwise `weight_decay p` is added
            to the gradient, and goes through the averages.
        **kwargs: of `Optimizer`.
    """

    def __init__(self, learning_rate: Any, *, decoupled_weight_decay: bool = True, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.decoupled_weight_decay = decoupled_weight_decay

    def gradient(self, group: Group) -> tf.Tensor:
        """Return the gradient, with coupled decay in it."""
        if self.decoupled_weight_decay or not group.layout.decays:
            return group.gradient
        return group.gradient + group.weights * self.weight_decay

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with decoupled weight decay in it."""
        return super().decay(change, group) if self.decoupled_weight_decay else change

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "decoupled_weight_decay": self.decoupled_weight_decay}
