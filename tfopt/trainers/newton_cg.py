"""Newton-CG: Newton's method without the Hessian."""

from __future__ import annotations

import sys

from scipy.optimize import minimize

from tfopt._hyperparameters import Count, Flag, NonNegative, checked
from tfopt.trainers.base import FullBatchTrainer
from tfopt.trainers.minimization import Minimization

_NO_LIMIT = {"maxiter": sys.maxsize}


class NewtonCG(FullBatchTrainer):
    """Truncated Newton: each step solves the Newton equations by conjugate gradients.

    For small models whose loss is badly conditioned, and for the last digits: near a minimum it converges
    faster than `LBFGS`. The Hessian is only ever multiplied by vectors, each time at the cost of about two
    to three gradients on all data; an iteration takes some tens of products.

    Memory for n weights, besides that of the model and one batch (differentiated twice: about twice that of
    training): `8 n * 20` bytes on the host.

    In float32, products are rounded to 7 digits, and the last steps fail earlier than those of `LBFGS`:
    prefer models made with `dtype="float64"`.

    Reference: Nocedal and Wright, Numerical Optimization (2006), algorithm 7.1, with `trust_region`
    algorithm 7.2 (Steihaug 1983); the products: Pearlmutter, Fast exact multiplication by the Hessian (1994,
    doi 10.1162/neco.1994.6.1.147). Steps are SciPy's `Newton-CG` and `trust-ncg`, taken in float64.

    Args:
        max_iter: the most iterations, >= 1; with a trust region, rejected steps count.
        tolerance: the largest absolute entry of the gradient at which the method has converged, >= 0.
        trust_region: bound the steps by a region where the quadratic model has proved right, instead of a
            line search; makes use of negative curvature, which neural networks have far from a minimum.
        jit_compile: compile the loss and its derivatives with XLA.

    Raises:
        InvalidArgumentError: an argument is out of its range. `minimize` also raises `UnsupportedOperation`
            where an operation of the model has no second derivative in TensorFlow.

    Example:
        >>> result = NewtonCG(max_iter=20, tolerance=1e-3).minimize(model, None, (x, y), verbose=0)
        >>> result.converged
        True
    """

    @checked
    def __init__(
        self,
        max_iter: Count = 100,
        tolerance: NonNegative = 1e-7,
        *,
        trust_region: Flag = False,
        jit_compile: Flag = False,
    ) -> None:
        self.max_iter, self.tolerance = max_iter, tolerance
        self.trust_region = trust_region
        self.jit_compile = jit_compile

    def _run(self, minimization: Minimization) -> str:
        # The minimization ends the run by itself: by gradient and iterations.
        method, options = "Newton-CG", {**_NO_LIMIT, "xtol": 0.0}
        if self.trust_region:
            method, options = "trust-ncg", {**_NO_LIMIT, "gtol": 0.0}
        end = minimize(
            minimization.loss_and_gradient,
            minimization.accepted.x,
            jac=True,
            hessp=minimization.hessian_product,
            method=method,
            callback=minimization.iteration,
            options=options,
        )
        return f"No further progress ({method}: {end.message})"
