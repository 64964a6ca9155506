"""What the full-batch trainers share: arguments, the run, and that nothing found is lost."""

from __future__ import annotations

import abc
from typing import Any

import keras
from threadpoolctl import threadpool_limits

from tfopt.errors import InvalidArgumentError
from tfopt.trainers.batches import batches
from tfopt.trainers.full_batch import FullBatch
from tfopt.trainers.keras_losses import KINDS
from tfopt.trainers.minimization import Callback, Finished, Minimization
from tfopt.trainers.objectives import objective, takes_model
from tfopt.trainers.result import MinimizeResult
from tfopt.trainers.weights import WeightVector


def loss_on_all_data(
    model: keras.Model, loss: Any, data: Any, *, batch_size: int | None, training: bool, jit_compile: bool
) -> tuple[WeightVector, FullBatch]:
    """Return the weights of a model and the loss as a function of them; see `FullBatchTrainer.minimize`."""
    weights = WeightVector(model)
    if loss is not None and not (callable(loss) or isinstance(loss, str | list | tuple | dict)):
        raise InvalidArgumentError(f"Expected loss to be {KINDS}; got {loss!r}.")
    all_data = batches(data, batch_size, weights.dtype, aligned=not takes_model(loss))
    target = objective(model, loss, all_data, weights.dtype, training=training)
    return weights, FullBatch(target, weights, all_data, jit_compile)


class FullBatchTrainer(abc.ABC):
    """Base of the methods that take the loss on all data as one function of all weights.

    Attributes, which a subclass sets:
        max_iter: the most iterations, >= 1.
        tolerance: the largest absolute entry of the gradient at which the method has converged, >= 0.
        jit_compile: compile the loss and its derivatives with XLA.
    """

    max_iter: int
    tolerance: float
    jit_compile: bool

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
        """Move the trainable weights of `model` to where the loss on all of `data` is least.

        The loss is that of `compile`, with the model's regularization. Weights that are frozen stay; pruned
        weights stay zero. The model's optimizer, if it has one, is not used.

        Args:
            model: a built `keras.Model`, also a subclassed one, in float32 or float64, on one device.
            loss: one of

                - None, for the loss that the model was compiled with, or its own `compute_loss`;
                - what `compile` takes: a name, a `keras.losses.Loss`, a function of (y_true, y_pred), or a
                  list or dict of these, one for each output;
                - a function `loss(model)`, `loss(model, x)`, `loss(model, x, y)` or `loss(model, x, y,
                  sample_weight)` that returns a scalar, such as the residual of a differential equation. It
                  is recognized by its single argument, by a first argument called `model`, or, with two
                  arguments, by data without targets. Regularizers of the model are added to it.
            data: `x`, `(x, y)` or `(x, y, sample_weight)` with arrays, samples first, or dicts and lists of
                arrays; a finite `tf.data.Dataset` of batches of these; a `tfopt.data.Dataset`, whose training
                split is used; or None for a `loss(model)`. It must be the same at every pass: no random
                augmentation.
            batch_size: compute losses and gradients for so many samples at a time, to bound the memory. The
                result is that of one batch: sums over batches are weighted by what each loss divides by. A
                `loss(model, x)` and a `compute_loss` of the model's own must be means over samples for that.
            training: what the model is called with. True gives `BatchNormalization` the statistics of each
                batch, and `Dropout` its noise, under which no line search can work. A function of the model
                calls it by itself.
            callback: called as `callback(iteration, loss, gradient_norm)` after each iteration, from 1 on; it
                may raise `StopIteration` to end the run.
            verbose: 0 for silence, 1 for a progress bar.

        Returns:
            What the run came to. The model holds the final weights.

        Raises:
            InvalidArgumentError: the model is not built, replicated, or has nothing to train; the loss is
                unknown, does not fit the data, or does not depend on the weights.
            DataError: the data is empty, endless, not numeric, or of unequal lengths.
            UnsupportedModel: the model computes in 16 bits, or a constraint other than a pruning mask holds
                a variable.
            NonFiniteError: the loss or gradient became NaN or infinite. As after Ctrl-C and after an error in
                the callback, the model holds the best weights that were seen.
        """
        return self._finished(self._minimization(model, loss, data, batch_size, training, callback, verbose))

    def _minimization(
        self,
        model: keras.Model,
        loss: Any,
        data: Any,
        batch_size: int | None,
        training: bool,
        callback: Callback | None,
        verbose: int,
    ) -> Minimization:
        """Return a run at the weights that the model has, with the arguments of `minimize` checked."""
        if callback is not None and not callable(callback):
            raise InvalidArgumentError(
                f"Expected callback to be a function (iteration, loss, gradient_norm), got {callback!r}."
            )
        weights, function = loss_on_all_data(
            model, loss, data, batch_size=batch_size, training=training, jit_compile=self.jit_compile
        )
        return Minimization(
            function,
            weights,
            max_iter=self.max_iter,
            tolerance=self.tolerance,
            callback=callback,
            verbose=verbose,
        )

    def _finished(self, minimization: Minimization) -> MinimizeResult:
        """Minimize; return the result, and leave the best weights in the model if that fails."""
        try:
            reason = self._end(minimization)
            minimization.settle()
        except BaseException:
            minimization.keep(minimization.best)
            raise
        return minimization.result(reason)

    def _end(self, minimization: Minimization) -> str:
        """Minimize; return why it ended."""
        try:
            minimization.stop_where_done()
            # The vectors are short. Threads of BLAS and TensorFlow that wait for each other on the same
            # cores made an iteration six times as long.
            with threadpool_limits(1, user_api="blas"):
                return self._run(minimization)
        except Finished as end:
            return str(end)

    @abc.abstractmethod
    def _run(self, minimization: Minimization) -> str:
        """Let SciPy minimize, from the accepted point; return why it ended where it does so by itself."""
