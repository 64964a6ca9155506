"""Weight clustering: few different weights a kernel."""

from tfopt.clustering.cluster import cluster

__all__ = ["cluster"]
