"""`tfopt.cluster`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import keras

from tfopt import backends
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)


def cluster(
    model: keras.Model,
    clusters: int = 16,
    *,
    rules: Mapping[str, int | None] | None = None,
    engine: Literal["tfmot"] = "tfmot",
    engine_options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` whose kernels will have few different weights each, to be trained further.

    Such kernels compress well. The model trains with plain `compile` and `fit`; `tfopt.tfmot.strip` then
    returns it with its clustered weights.

    Args:
        model: a functional or Sequential model. It is left as it is.
        clusters: different weights a kernel, 2 or more.
        rules: layer path pattern -> clusters, or None for a layer that is left as it is; first match wins.
        engine: `"tfmot"`: tensorflow-model-optimization, run and trained by Keras 3.
        engine_options: of `cluster_weights`, for that engine: see `tfopt.tfmot.cluster`.

    Raises:
        InvalidArgumentError: an argument is out of range, or the engine is `"keras"`, which does not
            cluster yet.
        UnsupportedModel: the model is subclassed.
        UnsupportedOperation: a layer that the engine does not cluster was asked for.

    Example:
        ```python
        clustered = tfopt.cluster(model, 16)
        clustered.compile("adam", "sparse_categorical_crossentropy")
        clustered.fit(x_train, y_train, epochs=3)
        model = tfopt.tfmot.strip(clustered)
        ```

    Reference:
        Han et al., 2016, Deep Compression (arXiv 1510.00149), section 3.
    """
    other = backends.other("cluster", engine, engine_options)
    if other is None:
        raise InvalidArgumentError(
            'cluster: engine="keras" does not cluster yet. Use engine="tfmot", which runs '
            "tensorflow-model-optimization."
        )
    logger.info("%s: the kernels get %d clusters each, by %s; rules: %s", model.name, clusters, engine, rules)
    return other.cluster(model, clusters, rules=rules, options=engine_options)
