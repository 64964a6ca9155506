"""Where zeros may stand: at single weights, N:M, in blocks."""

from tfopt.pruning.patterns.base import Pattern
from tfopt.pruning.patterns.layout import Layout, layout_of
from tfopt.pruning.patterns.registry import pattern_of

__all__ = ["Layout", "Pattern", "layout_of", "pattern_of"]
