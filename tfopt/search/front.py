"""The trials that no other one beats in everything."""

from collections.abc import Sequence

from tfopt.search.goal import DIRECTIONS, Figures

OBJECTIVES = ("accuracy", "bytes", "latency")
"""The figures that are weighed against each other."""


def non_dominated(figures: Sequence[Figures]) -> list[int]:
    """Return the indices of the figures that no other one dominates, in order (a Pareto front).

    One dominates another when it is at least as good in each of `OBJECTIVES` and better in one. A figure
    that was not measured counts as worse than any that was.
    """
    costs = [tuple(map(_cost, OBJECTIVES, [one] * len(OBJECTIVES))) for one in figures]
    return [i for i, cost in enumerate(costs) if not any(_dominates(other, cost) for other in costs)]


def _cost(name: str, figures: Figures) -> float:
    value = figures.get(name)
    if value is None:
        return float("inf")
    return value if DIRECTIONS[name] == "min" else -value


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
