"""Movement: weights that training draws towards zero go, however large they are."""

from __future__ import annotations

from typing import Any

from tfopt.pruning.criteria.base import FromGradients


class Movement(FromGradients):
    """-w dL/dw, summed over all steps ("Movement pruning", Sanh et al., 2020, arXiv 2005.07683).

    For fine-tuning a model that was trained on something else: what its weights were says little then. This
    is the hard variant with masks; a weight that is pruned stays so.
    """

    name = "movement"
    in_training = True

    def summand(self, weights: Any, gradients: Any) -> Any:
        """Return -w dL/dw, above zero where descent makes the weight larger."""
        return -weights * gradients
