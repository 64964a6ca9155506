"""CMA-ES: weights found by sampling, for models and losses that have no useful gradient."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from tfopt._hyperparameters import Count, CountFromZero, Flag, NonNegative, Positive, checked
from tfopt.errors import InvalidArgumentError, NonFiniteError
from tfopt.trainers.base import loss_on_all_data
from tfopt.trainers.full_batch import FullBatch
from tfopt.trainers.result import MinimizeResult
from tfopt.trainers.weights import WeightVector

logger = logging.getLogger(__name__)

MOST_WEIGHTS = 10_000
"""The covariance of so many weights takes 0.8 GB; beyond, `diagonal=True` keeps variances alone."""

Callback = Callable[[int, float], Any]


class Evolution:
    """CMA-ES of the package `cma`: a normal distribution over the weights moves to where the loss is low.

    For tiny models, and for those whose loss has no gradient or one that says nothing: hard thresholds,
    integers, accuracy itself, a simulator. A generation costs `population_size` evaluations of the loss on
    all data, and the number of generations grows with that of the weights: where the loss has a gradient,
    `LBFGS` and optimizers need hundreds of times fewer. The covariance of n weights takes 8 n^2 bytes and is
    decomposed at a cost of n^3 every few generations.

    Reference: Hansen, The CMA Evolution Strategy: A Tutorial (2016, arXiv 1604.00772).

    Args:
        max_iter: the most generations, >= 1.
        tolerance: the range of the lowest losses of the last generations, and of all losses of the last one,
            at which the method has converged, >= 0.
        sigma: the standard deviation of the first generation around the weights that the model has, > 0;
            about a third of how far the weights are expected to move.
        population_size: samples a generation, >= 2; by default 4 + 3 ln n for n weights, rounded down. More
            find better minima of rugged losses, in more evaluations.
        diagonal: keep variances alone (separable CMA-ES): memory and cost linear in n, and many more
            generations where weights depend on one another.
        seed: of the samples, >= 0.
        jit_compile: compile the loss with XLA.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> trainer = Evolution(max_iter=5, seed=1)
        >>> result = trainer.minimize(
        ...     model, lambda model: keras.ops.mean(keras.ops.sign(model(x)[:, 0] - 0.5)), verbose=0
        ... )
        >>> result.loss <= result.history[0]
        True
    """

    @checked
    def __init__(
        self,
        max_iter: Count = 1000,
        tolerance: NonNegative = 1e-9,
        sigma: Positive = 0.3,
        *,
        population_size: Count | None = None,
        diagonal: Flag = False,
        seed: CountFromZero = 0,
        jit_compile: Flag = False,
    ) -> None:
        if population_size == 1:
            raise InvalidArgumentError("Evolution: population_size must be at least 2, got 1.")
        self.max_iter, self.tolerance, self.sigma = max_iter, tolerance, sigma
        self.population_size, self.diagonal = population_size, diagonal
        self.seed, self.jit_compile = seed, jit_compile

    def minimize(
        self,
        model: keras.Model,
        loss: Any = None,
        data: Any = None,
        *,
        batch_size: int | None = None,
        training: bool = False,
        callback: Callback | None = None,
        verbose: int = 1,
    ) -> MinimizeResult:
        """Move the trainable weights of `model` to the lowest loss on all of `data` that is found.

        Args:
            model, loss, data, batch_size, training: as in `LBFGS.minimize`; the loss may be flat or jump.
            callback: called as `callback(generation, loss)` with the lowest loss so far after each
                generation, from 1 on; it may raise `StopIteration` to end the run.
            verbose: 0 for silence, 1 for a progress bar.

        Returns:
            What the run came to; `history` has the lowest loss so far at the start and after each generation.
            The model holds the best weights that were seen.

        Raises:
            InvalidArgumentError: as `LBFGS.minimize`; or the model has too many weights for a covariance.
            DataError, UnsupportedModel: as `LBFGS.minimize`.
            NonFiniteError: the loss is NaN or infinite at the start, or in a whole generation. Single samples
                of such a loss count as the worst.
        """
        if callback is not None and not callable(callback):
            raise InvalidArgumentError(
                f"Expected callback to be a function (generation, loss), got {callback!r}."
            )
        weights, function = loss_on_all_data(
            model, loss, data, batch_size=batch_size, training=training, jit_compile=self.jit_compile
        )
        if weights.size > MOST_WEIGHTS and not self.diagonal:
            raise InvalidArgumentError(
                f"The model has {weights.size:,} trainable weights, and the covariance of more than "
                f"{MOST_WEIGHTS:,} is too large: use diagonal=True, freeze layers, or train by gradients."
            )
        search = _Search(weights, function)
        bar = keras.utils.Progbar(self.max_iter, stateful_metrics=["loss"]) if verbose else None
        message, converged = f"Stopped after max_iter={self.max_iter} generations.", False
        try:
            for generation, reason in enumerate(self._generations(search), 1):
                search.history.append(search.lowest)
                logger.debug("Generation %d: lowest loss %g", generation, search.lowest)
                if bar is not None:
                    bar.update(generation, [("loss", search.lowest)], finalize=False)
                if callback is not None:
                    callback(generation, search.lowest)
                if reason:
                    message, converged = reason
                    break
        except StopIteration:
            message = "Stopped by the callback."
        finally:
            weights.write(search.best)
        if bar is not None:
            bar.update(len(search.history) - 1, finalize=True)
        return MinimizeResult(
            loss=search.lowest,
            gradient_norm=None,
            converged=converged,
            iterations=len(search.history) - 1,
            evaluations=search.evaluations,
            hessian_products=0,
            history=search.history,
            message=message,
        )

    def _generations(self, search: _Search) -> Iterator[tuple[str, bool] | None]:
        """Run a generation at each step; yield why it was the last one, and whether it converged."""
        with warnings.catch_warnings():
            # Of packages for plots that it does not find.
            warnings.simplefilter("ignore")
            import cma

        generator = np.random.default_rng(self.seed)
        options = {
            # cma would seed NumPy's generator of the process.
            "seed": math.nan,
            "randn": lambda *shape: generator.standard_normal(shape),
            "CMA_diagonal": self.diagonal,
            "tolfun": self.tolerance,
            "tolx": 0,
            "tolfunhist": 0,
            "tolflatfitness": 20,
            "maxiter": math.inf,
            "verbose": -9,
        }
        if self.population_size is not None:
            options["popsize"] = self.population_size
        strategy = cma.CMAEvolutionStrategy(search.best, self.sigma, options)
        for _ in range(self.max_iter):
            samples = strategy.ask()
            losses = search.losses(samples)
            strategy.tell(samples, losses)
            stop = dict(strategy.stop())
            yield self._reason(stop, flat=len({search.history[0], *losses}) == 1) if stop else None

    def _reason(self, stop: dict[str, Any], *, flat: bool) -> tuple[str, bool]:
        """Return why CMA-ES stopped, as a sentence, and whether that is convergence."""
        if flat:
            return "The loss is the same for all samples as at the start: use a larger sigma.", False
        if "tolfun" in stop:
            return f"Converged: losses differ by no more than the tolerance, {self.tolerance:.3g}.", True
        return f"No further progress (CMA-ES: {', '.join(sorted(stop))}).", False


class _Search:
    """Evaluates samples and remembers the best."""

    def __init__(self, weights: WeightVector, function: FullBatch) -> None:
        self._weights, self._function = weights, function
        self.best = weights.read()
        self.evaluations = 1
        self.lowest = function.loss()
        if not math.isfinite(self.lowest):
            raise NonFiniteError(
                f"The loss is {self.lowest} at the start: look for NaN and infinity in the data and weights."
            )
        self.history = [self.lowest]

    def losses(self, samples: list[np.ndarray]) -> list[float]:
        """Return the loss of each sample; of one that is not finite, more than all others."""
        found = []
        for sample in samples:
            self._weights.write(sample)
            self.evaluations += 1
            loss = self._function.loss()
            if loss < self.lowest:
                self.lowest, self.best = loss, np.array(sample)
            found.append(loss)
        finite = [loss for loss in found if math.isfinite(loss)]
        if not finite:
            raise NonFiniteError(
                "The loss is NaN or infinite in a whole generation. The model holds the best weights so far, "
                f"with loss {self.lowest:.6g}: use a smaller sigma."
            )
        worst = max(finite)
        return [loss if math.isfinite(loss) else worst + abs(worst) + 1 for loss in found]
