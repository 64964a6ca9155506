"""Weight decay that is decoupled or, as an option, L2 regularization."""

import tensorflow as tf

from tfopt.optimizers._core.base import Optimizer
from tfopt.optimizers._core.group import Group


class CoupledDecay(Optimizer):
    """Base of optimizers whose weight decay can be coupled with the gradient.

    Attributes, which a subclass sets:
        decoupled_weight_decay: subtract `learning_rate weight_decay p`; otherwise `weight_decay p` is added
            to the gradient, and goes through the averages.
    """

    decoupled_weight_decay: bool

    def gradient(self, group: Group) -> tf.Tensor:
        """Return the gradient, with coupled decay in it."""
        if self.decoupled_weight_decay or not group.layout.decays:
            return group.gradient
        return group.gradient + group.weights * self.weight_decay

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with decoupled weight decay in it."""
        return super().decay(change, group) if self.decoupled_weight_decay else change
