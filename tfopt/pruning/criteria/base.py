"""The bases of the criteria: from weights alone, or from gradients as well."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np


class Criterion:
    """A score for each weight of a kernel; the weights with the lowest go first.

    Attributes:
        name: what configs call it.
        on_data: whether it can be measured on data, with the weights as they are.
        in_training: whether it can be measured while the model trains.
    """

    name: ClassVar[str]
    on_data: ClassVar[bool] = False
    in_training: ClassVar[bool] = False


class FromWeights(Criterion):
    """A criterion that looks at the weights alone."""

    in_training: ClassVar[bool] = True

    def scores(self, weights: np.ndarray, seed: int) -> np.ndarray:
        """Return the scores, of the shape of the weights, float32.

        Args:
            weights: as they are now.
            seed: of this kernel, for criteria that draw.
        """
        raise NotImplementedError


class FromGradients(Criterion):
    """A criterion that sums something over batches, of weights and of the gradients of the loss.

    Attributes:
        restarts: whether the sum begins anew after each change of the masks while training.
    """

    restarts: ClassVar[bool] = False

    def summand(self, weights: Any, gradients: Any) -> Any:
        """Return what one batch adds, of tensors of one shape."""
        raise NotImplementedError

    def scores(self, total: np.ndarray) -> np.ndarray:
        """Return the scores that a sum means."""
        return total
