"""Taylor: the first-order estimate of how much the loss changes where a weight becomes zero."""

from __future__ import annotations

from typing import Any

from tfopt.pruning.criteria.base import FromGradients


class Taylor(FromGradients):
    """(w dL/dw)^2, summed over batches ("Importance estimation", Molchanov et al., 2019, arXiv 1906.10771).

    While training it is summed from one change of the masks to the next.
    """

    name = "taylor"
    on_data = True
    in_training = True
    restarts = True

    def summand(self, weights: Any, gradients: Any) -> Any:
        """Return (w dL/dw)^2."""
        return (weights * gradients) ** 2
