"""One run of a SciPy method over the weights of a model: what it asks for, what it has found so far."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras
import numpy as np

from tfopt.errors import NonFiniteError
from tfopt.trainers.full_batch import FullBatch
from tfopt.trainers.result import MinimizeResult
from tfopt.trainers.weights import WeightVector

logger = logging.getLogger(__name__)

Callback = Callable[[int, float, float], Any]


class Finished(Exception):
    """Ends the method from inside of a function that it calls; the argument says why."""


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """Weights, and the loss and gradient there."""

    x: np.ndarray
    loss: float
    gradient: np.ndarray

    @property
    def gradient_norm(self) -> float:
        """The largest absolute entry of the gradient."""
        return float(np.abs(self.gradient).max())


class Minimization:
    """Holds where the method is, and what it has seen.

    Attributes:
        best: the point of the lowest loss of all evaluated.
        accepted: where the last iteration ended.
    """

    def __init__(
        self,
        function: FullBatch,
        weights: WeightVector,
        *,
        max_iter: int,
        tolerance: float,
        callback: Callback | None,
        verbose: int,
    ) -> None:
        self._function, self._weights = function, weights
        self._max_iter, self._tolerance, self._callback = max_iter, tolerance, callback
        self._bar = (
            keras.utils.Progbar(max_iter, stateful_metrics=["loss", "gradient_norm"]) if verbose else None
        )
        self.evaluations = self.hessian_products = 0
        self._written: np.ndarray | None = None
        start = self._evaluate(weights.read())
        self.best = self.accepted = self._latest = self._flattest = start
        self.history = [start.loss]

    def loss_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return what SciPy minimizes."""
        point = self._at(x)
        return point.loss, point.gradient

    def hessian_product(self, x: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Return the Hessian at `x` times a vector."""
        self._write(x)
        self.hessian_products += 1
        product = self._function.product(vector)
        if not np.isfinite(product).all():
            raise NonFiniteError(f"A Hessian-vector product is NaN or infinite. {self._kept}")
        return product

    def iteration(self, intermediate_result: Any) -> None:
        """Take note that the method moved; SciPy knows the argument by its name."""
        self._move(self._at(intermediate_result.x))
        self.stop_where_done()

    def _move(self, point: Point) -> None:
        self.accepted = point
        self.history.append(point.loss)
        iterations = len(self.history) - 1
        logger.debug(
            "Iteration %d: loss %g, largest entry of the gradient %g",
            iterations,
            point.loss,
            point.gradient_norm,
        )
        if self._bar is not None:
            values = [("loss", point.loss), ("gradient_norm", point.gradient_norm)]
            self._bar.update(iterations, values, finalize=False)
        if self._callback is not None:
            try:
                self._callback(iterations, point.loss, point.gradient_norm)
            except StopIteration:
                raise Finished("Stopped by the callback") from None

    def stop_where_done(self) -> None:
        """Raise `Finished` where the gradient is within the tolerance, or the iterations are spent."""
        if self.accepted.gradient_norm <= self._tolerance:
            raise Finished("Converged")
        if len(self.history) > self._max_iter:
            raise Finished(f"Stopped after max_iter={self._max_iter} iterations")

    def settle(self) -> None:
        """Go to where the gradient is smallest, among the points whose losses cannot be told apart.

        A line search compares losses, and so ends where these are nothing but noise; gradients still tell.
        """
        if self._as_low(self._flattest) and self._flattest.gradient_norm < self.accepted.gradient_norm:
            with suppress(Finished):
                self._move(self._flattest)
        self.keep(self.accepted)

    def keep(self, point: Point) -> None:
        """Leave the weights of a point in the model."""
        self._write(point.x)

    def result(self, reason: str) -> MinimizeResult:
        """Return what the run came to, at the accepted point."""
        if self._bar is not None and len(self.history) > 1:
            self._bar.update(len(self.history) - 1, finalize=True)
        norm = self.accepted.gradient_norm
        return MinimizeResult(
            loss=self.accepted.loss,
            gradient_norm=norm,
            converged=norm <= self._tolerance,
            iterations=len(self.history) - 1,
            evaluations=self.evaluations,
            hessian_products=self.hessian_products,
            history=self.history,
            message=f"{reason}: the largest entry of the gradient is {norm:.3g}, the tolerance "
            f"{self._tolerance:.3g}.",
        )

    def _at(self, x: np.ndarray) -> Point:
        for point in (self._latest, self.accepted):
            if np.array_equal(point.x, x):
                return point
        # Without this, a search would go on halving a step that the weights cannot follow.
        if self._weights.equal(x, self.accepted.x):
            raise Finished(f"No step that {self._weights.dtype} weights can take lowers the loss further")
        self._latest = point = self._evaluate(x)
        if point.loss < self.best.loss:
            self.best = point
        if self._as_low(point) and (
            point.gradient_norm < self._flattest.gradient_norm or not self._as_low(self._flattest)
        ):
            self._flattest = point
            if point.gradient_norm <= self._tolerance:
                raise Finished("Converged")
        return point

    def _as_low(self, point: Point) -> bool:
        """Return whether the loss is as low as where the method is, as far as rounding lets one see."""
        noise = 4 * np.finfo(self._weights.dtype).eps
        return bool(point.loss <= self.accepted.loss + noise * abs(self.accepted.loss))

    def _evaluate(self, x: np.ndarray) -> Point:
        self._write(x)
        self.evaluations += 1
        loss, gradient = self._function.gradient()
        if not (math.isfinite(loss) and np.isfinite(gradient).all()):
            what = f"The loss is {loss}" if not math.isfinite(loss) else "The gradient holds NaN or infinity"
            if self.evaluations == 1:
                raise NonFiniteError(
                    f"{what} at the start: look for NaN and infinity in the data and weights."
                )
            raise NonFiniteError(f"{what} at evaluation {self.evaluations}. {self._kept}")
        return Point(np.array(x), loss, gradient)

    @property
    def _kept(self) -> str:
        return (
            f"The model holds the best weights so far, with loss {self.best.loss:.6g}: continue from a "
            "better start, such as some epochs of Adam, with inputs of unit scale and a loss that cannot "
            "overflow."
        )

    def _write(self, x: np.ndarray) -> None:
        if self._written is None or not np.array_equal(x, self._written):
            # Ctrl-C may come in between.
            self._written = None
            self._weights.write(x)
            self._written = np.array(x)
