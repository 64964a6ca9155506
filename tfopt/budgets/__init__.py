"""Budgets: what a model may cost at most, with one meaning for pruning, ranks, bits and searches."""

from tfopt.budgets.limits import METRICS, Budgets, Limit, formatted

__all__ = ["METRICS", "Budgets", "Limit", "formatted"]
