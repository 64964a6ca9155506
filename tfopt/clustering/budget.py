"""How many clusters each kernel gets, so that the weights of a model compress to a number of bytes."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from tfopt import _validation
from tfopt.clustering.find import Clusters
from tfopt.clustering.plan import KernelPlan
from tfopt.errors import GoalError
from tfopt.measure.kernels import kernels

logger = logging.getLogger(__name__)

CHOICES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""The numbers of clusters that a kernel may get."""
_BISECTIONS = 40
_MARGIN = 0.99


@dataclass(frozen=True)
class _Choice:
    clusters: int
    bytes: int
    error: float


def compressed_weights(model: keras.Model, scheme: str = "float32") -> int:
    """Return how many bytes the variables of a model take, kernels compressed one by one by DEFLATE.

    That is what gzip makes of them in a file, up to the graph around them. Biases and statistics count as
    they are: once they are trained they hardly compress.

    Args:
        model: built.
        scheme: `"float32"`, or `"int8"` for kernels in 8 bits, where clusters are as many integers.
    """
    kernel_ids = {id(kernel.variable) for kernel in kernels(model)}
    return sum(
        _compressed(v.numpy(), scheme) if id(v) in kernel_ids else 4 * int(np.prod(v.shape))
        for v in model.variables
    )


def check_budget(owner: str, bytes: float | None) -> None:
    """Raise `InvalidArgumentError` unless `bytes` is None, a whole number above 0 or a share in (0, 1)."""
    if bytes is None:
        return
    if _validation.is_whole(bytes):
        _validation.whole(owner, "bytes", bytes, at_least=1)
    else:
        _validation.number(owner, "bytes", bytes, above=0, below=1)


def within(
    model: keras.Model,
    plans: Sequence[KernelPlan],
    budget: float,
    clustered: Callable[[KernelPlan, int], Clusters],
    scheme: str = "float32",
) -> list[int]:
    """Return the number of clusters of each plan, with which the weights of the model keep a budget.

    Of all ways to keep it, the one that Lagrange's method finds least harmful: the sum over the kernels of
    squared error / sum of squares, the noise that clustering adds to what each of them computes.

    Args:
        model: what the plans are for.
        plans: those whose `clusters` is None are free.
        budget: bytes, as `compressed_weights` counts them; below 1, a share of those of `model`.
        clustered: (plan, clusters) -> the clusters of its kernel.
        scheme: in which the weights are counted; see `compressed_weights`.

    Raises:
        GoalError: the budget is below what the fewest clusters reach.
    """
    whole = compressed_weights(model, scheme)
    limit = budget if budget >= 1 else budget * whole
    rest = whole - sum(_compressed(plan.kernel.variable.numpy(), scheme) for plan in plans)
    tables = [_choices(plan, clustered, scheme) for plan in plans]

    def best(price: float) -> list[_Choice]:
        return [min(table, key=lambda choice: choice.error + price * choice.bytes) for table in tables]

    def size(chosen: list[_Choice]) -> int:
        return rest + sum(choice.bytes for choice in chosen)

    smallest = [min(table, key=lambda choice: choice.bytes) for table in tables]
    limit *= _MARGIN  # training changes the digits of the centroids
    if size(smallest) > limit:
        raise GoalError(
            f"cluster: the weights of {model.name!r} compress to {size(smallest)} bytes with the fewest "
            f"clusters, and bytes={budget:g} allows {int(limit / _MARGIN)}; of {whole} bytes before, {rest} "
            "are not clustered. Allow more, leave fewer layers out by rules, or prune first."
        )
    if size(best(0.0)) <= limit:
        return [choice.clusters for choice in best(0.0)]
    low, high, chosen = 0.0, 1.0, smallest
    for _ in range(_BISECTIONS):
        price = (low + high) / 2
        tried = best(price)
        if size(tried) <= limit:
            chosen, high = tried, price
        else:
            low = price
    logger.info("%s: the weights compress from %d to %d bytes", model.name, whole, size(chosen))
    return [choice.clusters for choice in chosen]


def _choices(
    plan: KernelPlan, clustered: Callable[[KernelPlan, int], Clusters], scheme: str
) -> list[_Choice]:
    """Return what each number of clusters costs and loses; of a kernel with a number, that alone."""
    weights = plan.kernel.variable.numpy()
    least = 2 if plan.alive is None or plan.alive.all() else 3
    counts = [plan.clusters] if plan.clusters is not None else [c for c in CHOICES if c >= least]
    energy = float(np.square(weights, dtype=np.float64).sum()) or 1.0
    found = []
    for count in counts:
        parts = clustered(plan, count)
        values = parts.values
        # Of per-channel clusters each channel has integers of its own, from the same few.
        kept = values if scheme == "float32" else parts.numbers.astype(np.uint8)
        error = float(np.square(values - weights, dtype=np.float64).sum())
        found.append(_Choice(count, _deflated(kept), error / energy))
        if error == 0:
            break
    return found


def _compressed(values: np.ndarray, scheme: str) -> int:
    if scheme == "int8":
        largest = float(np.abs(values).max(initial=0.0)) or 1.0
        return _deflated(np.round(values / largest * 127).astype(np.int8))
    return _deflated(values.astype(np.float32))


def _deflated(values: np.ndarray) -> int:
    return len(zlib.compress(np.ascontiguousarray(values).tobytes(), 9))
