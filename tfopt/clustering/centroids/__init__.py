"""The initial centroids of a kernel's clusters, a method a file.

A method is a function `(weights, clusters, importance, seed) -> centroids`: `weights` is a flat array of at
least one number, `importance` a positive number a weight or None, and the result is sorted, has no value
twice and at most `clusters` of them.
"""

from collections.abc import Callable

import numpy as np

from tfopt.clustering.centroids.density import density
from tfopt.clustering.centroids.k_means import k_means
from tfopt.clustering.centroids.linear import linear
from tfopt.clustering.centroids.random import random

Method = Callable[[np.ndarray, int, np.ndarray | None, int], np.ndarray]

METHODS: dict[str, Method] = {
    "kmeans++": k_means,
    "gradient": k_means,
    "linear": linear,
    "density": density,
    "random": random,
}
"""`init` -> the function. `"gradient"` is k-means where a weight counts as its gradients say."""

__all__ = ["METHODS", "density", "k_means", "linear", "random"]
