"""Wrapping with `cluster_weights`, and unwrapping."""

from __future__ import annotations

from typing import Any

from tfopt.errors import InvalidArgumentError
from tfopt.tfmot.library import tfmot
from tfopt.tfmot.module import clone
from tfopt.tfmot.refusals import explained, refusal


def wrap(legacy: Any, options: dict[str, Any]) -> Any:
    """Return the model with a clustering wrapper around each layer that has a setting and weights to cluster.

    Layers without are left alone: their wrapper would hide `training` from them.

    Args:
        legacy: a tf_keras model.
        options: `layers`, layer path -> number of clusters; `named`, the paths that the user asked for by
            name; `wrapper`, further arguments of `cluster_weights`, the initialization by its name.
    """
    library = tfmot().clustering.keras
    arguments = dict(options["wrapper"])
    arguments["cluster_centroids_init"] = initialization(arguments.get("cluster_centroids_init"))

    def replace(path: str, layer: Any) -> Any:
        clusters = options["layers"].get(path)
        if clusters is None:
            return layer
        try:
            wrapped = library.cluster_weights(layer, number_of_clusters=clusters, **arguments)
        except ValueError as error:
            if "supported layer" not in str(error):
                raise
            raise refusal("cluster", path, layer, "it knows no weights to cluster in {kind}.") from error
        if wrapped is not layer and wrapped.layer.get_clusterable_weights():
            return wrapped
        if path in options["named"]:
            reason = f"{{kind}} has no weights, or too few, for {clusters} clusters."
            raise refusal("cluster", path, layer, reason)
        return layer

    with explained("cluster"):
        return clone(legacy, replace)


def strip(module: Any) -> Any:
    """Return the tf_keras model without wrappers, with clustered weights."""
    with explained("cluster"):
        return tfmot().clustering.keras.strip_clustering(module)


def initialization(name: str | None) -> Any:
    """Return the `CentroidInitialization` called `name`; k-means++ for None.

    Raises:
        InvalidArgumentError: there is none.
    """
    known = tfmot().clustering.keras.CentroidInitialization.__members__
    name = name or "KMEANS_PLUS_PLUS"
    if name not in known:
        raise InvalidArgumentError(
            f"cluster_centroids_init must be one of {', '.join(map(repr, known))}, got {name!r}."
        )
    return known[name]
