"""Weight clustering: few different weights a kernel."""

from tfopt.clustering.cluster import cluster
from tfopt.clustering.constraint import KeptClusters
from tfopt.clustering.kept import keep_clusters
from tfopt.clustering.nearest import NearestClusters

__all__ = ["KeptClusters", "NearestClusters", "cluster", "keep_clusters"]
