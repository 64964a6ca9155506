"""L-BFGS: a quasi-Newton method for the whole data at once."""

from __future__ import annotations

import sys

from scipy.optimize import minimize

from tfopt._hyperparameters import Count, Flag, NonNegative, checked
from tfopt.trainers.base import FullBatchTrainer
from tfopt.trainers.minimization import Minimization


class LBFGS(FullBatchTrainer):
    """Limited-memory BFGS: the curvature from the last `history_size` steps, and a line search.

    For models of up to some million weights whose data can be gone through at every step: physics-informed
    networks, regression, fine-tuning of a head. An iteration costs one evaluation of loss and gradient on all
    data, now and then a few more. Steps are SciPy's `L-BFGS-B` without bounds, taken in float64.

    Memory for n weights, besides that of the model and one batch: `8 n (2 history_size + 15)` bytes on the
    host, 280 bytes a weight at the default.

    In float32 the loss has 7 digits, so that the gradient of a loss near 1 can hardly be brought below 1e-4
    to 1e-6; the run then ends with `converged=False` and says so. Models made with `dtype="float64"` are
    minimized in float64 throughout; targets and named losses are made float64 as well.

    Reference: Liu and Nocedal, On the limited memory BFGS method for large scale optimization (1989,
    doi 10.1007/BF01589116), algorithm 2.1; code: Byrd, Lu, Nocedal and Zhu (1995, doi 10.1137/0916069).

    Args:
        max_iter: the most iterations, >= 1.
        tolerance: the largest absolute entry of the gradient at which the method has converged, >= 0.
        history_size: how many steps are remembered, >= 1; 3 to 20 are usual, 50 for physics-informed
            networks.
        jit_compile: compile the loss and its gradient with XLA.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> result = LBFGS(max_iter=50, tolerance=1e-3).minimize(model, None, (x, y), verbose=0)
        >>> result.converged
        True
    """

    @checked
    def __init__(
        self,
        max_iter: Count = 200,
        tolerance: NonNegative = 1e-7,
        history_size: Count = 10,
        *,
        jit_compile: Flag = False,
    ) -> None:
        self.max_iter, self.tolerance = max_iter, tolerance
        self.history_size = history_size
        self.jit_compile = jit_compile

    def _run(self, minimization: Minimization) -> str:
        end = minimize(
            minimization.loss_and_gradient,
            minimization.accepted.x,
            jac=True,
            method="L-BFGS-B",
            callback=minimization.iteration,
            # The minimization ends the run by itself: by gradient and iterations.
            options={
                "maxcor": self.history_size,
                "maxiter": sys.maxsize,
                "maxfun": sys.maxsize,
                "gtol": 0.0,
                "ftol": 0.0,
            },
        )
        return f"No further progress (L-BFGS-B: {end.message})"
