"""The trials that no other one beats in everything."""

from collections.abc import Sequence

from tfopt.search.goal import DIRECTIONS, Metrics

OBJECTIVES = ("accuracy", "bytes", "latency")
"""The metrics that are weighed against each other."""


def non_dominated(trials: Sequence[Metrics]) -> list[int]:
    """Return the indices of the metrics that no others dominate, in order (a Pareto front).

    Those of one trial dominate another's when they are at least as good in each of `OBJECTIVES` and better in
    one. A metric that was not measured counts as worse than any that was.
    """
    costs = [tuple(map(_cost, OBJECTIVES, [one] * len(OBJECTIVES))) for one in trials]
    return [i for i, cost in enumerate(costs) if not any(_dominates(other, cost) for other in costs)]


def _cost(name: str, metrics: Metrics) -> float:
    value = metrics.get(name)
    if value is None:
        return float("inf")
    return value if DIRECTIONS[name] == "min" else -value


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
