"""The arguments of `tfopt.cluster` and of the stage `Cluster`, checked before anything is read."""

from __future__ import annotations

from tfopt import _validation
from tfopt.clustering.budget import check_budget
from tfopt.clustering.centroids import METHODS
from tfopt.errors import InvalidArgumentError

GRANULARITIES = ("tensor", "channel")
ASSIGNMENTS = ("nearest", "fixed")


def check_arguments(
    owner: str,
    clusters: int | None,
    init: str,
    granularity: str,
    assignments: str | None,
    trainable: bool,
    bytes: float | None,
    scheme: str,
) -> None:
    """Check the arguments of `cluster`.

    Raises:
        InvalidArgumentError: one is out of its range, or two of them contradict each other.
    """
    if clusters is not None:
        _validation.whole(owner, "clusters", clusters, at_least=2)
    _validation.choice(owner, "init", init, METHODS)
    _validation.choice(owner, "granularity", granularity, GRANULARITIES)
    if assignments is not None:
        _validation.choice(owner, "assignments", assignments, ASSIGNMENTS)
    _validation.flag(owner, "trainable", trainable)
    check_budget(owner, bytes)
    _validation.choice(owner, "scheme", scheme, ("float32", "int8"))
    if bytes is not None and clusters is not None:
        raise InvalidArgumentError(
            f"{owner}: give clusters={clusters}, or bytes={bytes} to let the size say how many, not both. A "
            "rule may give a layer its own number."
        )
    if assignments == "nearest" and (granularity == "channel" or not trainable):
        raise InvalidArgumentError(
            f'{owner}: assignments="nearest" is for trainable centroids of a whole tensor: leave granularity '
            'and trainable as they are, or take assignments="fixed".'
        )
