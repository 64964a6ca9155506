"""What a full-batch training run came to."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinimizeResult:
    """The outcome of `minimize`; the weights themselves are in the model.

    Attributes:
        loss: at the final weights, regularization included.
        gradient_norm: the largest absolute entry of the gradient at the final weights; None where a method
            does without gradients.
        converged: whether `gradient_norm`, or what the method has in its place, is within the tolerance.
        iterations: how many steps were taken.
        evaluations: how often the loss, and its gradient where it is used, were computed on the whole data.
        hessian_products: how often the Hessian was multiplied by a vector; 0 but for `NewtonCG`.
        history: the loss at the start and after each iteration, `iterations + 1` numbers.
        message: why it ended, in a sentence.
    """

    loss: float
    gradient_norm: float | None
    converged: bool
    iterations: int
    evaluations: int
    hessian_products: int
    history: list[float]
    message: str
