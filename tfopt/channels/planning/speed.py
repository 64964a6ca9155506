"""Whether what is left is faster at all, where little is removed."""

from __future__ import annotations

import logging
import warnings

from tfopt.channels.planning.plan import ChannelPlan
from tfopt.data.representative import Representative
from tfopt.errors import TfoptError
from tfopt.export.untrained import UntrainedFiles

logger = logging.getLogger(__name__)

_LITTLE = 0.75
"""The share of the multiply-accumulates from which on a file is measured. Below it none was found slower."""


def warn_unless_faster(
    plan: ChannelPlan, scheme: str, samples: Representative | None = None, *, stacklevel: int = 2
) -> None:
    """Warn where little is removed and the file is not faster than the original's.

    Kernels of odd widths can take longer than wider ones, so that a few channels less may cost time. Files
    are written and run only where at least 75 % of the multiply-accumulates are left, and no budget limits
    the latency, which has measured it.

    Args:
        plan: of what is removed.
        scheme: of the file.
        samples: for the ranges of activations; None for random ones.
        stacklevel: of the warning: 2 for the caller of this function.
    """
    macs = plan.costs.get("macs")
    if "latency" in plan.costs or not macs or not plan.removed or macs[1] < _LITTLE * max(macs[0], 1):
        return
    model = plan.dependencies.model
    try:
        files = UntrainedFiles(model, scheme, samples, timed=True)
        ratio = files.measured(plan.apply())["latency"] / files.original["latency"]
    except TfoptError as error:  # the model need not become a file
        logger.info("whether %r is faster is not known: its file cannot be written: %s", model.name, error)
        return
    logger.info("the %s file of what is left takes %.3f of the time of the original's", scheme, ratio)
    if ratio >= 1:
        warnings.warn(
            f"What is left of the model {model.name!r} has {macs[1] / macs[0]:.0%} of the MACs "
            f"and is not faster: its {scheme} file takes {ratio:.2f} of the time of the original's. Remove "
            "more, keep round_to=8, or add a budget for the time: latency=0.95.",
            UserWarning,
            stacklevel=stacklevel + 1,
        )
