"""`tfopt.cluster`."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np

from tfopt import backends, graph
from tfopt.clustering.arguments import check_arguments
from tfopt.clustering.budget import within
from tfopt.clustering.constraint import KeptClusters
from tfopt.clustering.find import Clusters, find
from tfopt.clustering.importance import importances
from tfopt.clustering.kept import attach
from tfopt.clustering.nearest import NearestClusters
from tfopt.clustering.plan import KernelPlan, planned
from tfopt.data.labelled import labelled, require_fitting
from tfopt.errors import InvalidArgumentError
from tfopt.pruning.masks import bridges, carry_masks

logger = logging.getLogger(__name__)

CLUSTERS = 16


def cluster(
    model: keras.Model,
    clusters: int | None = None,
    *,
    init: Literal["kmeans++", "linear", "density", "random", "gradient"] = "kmeans++",
    granularity: Literal["tensor", "channel"] = "tensor",
    assignments: Literal["nearest", "fixed"] | None = None,
    trainable: bool = True,
    keep_zeros: bool = True,
    bytes: float | None = None,
    scheme: Literal["float32", "int8"] = "float32",
    rules: Mapping[str, int | None] | None = None,
    data: Any = None,
    seed: int = 0,
    engine: Literal["keras", "tfmot"] = "keras",
    engine_options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` whose kernels have few different weights each, and keep them in training.

    Such kernels compress well. Every kernel that `tfopt.prune` prunes unasked is clustered; depthwise
    kernels, embeddings and variables that are added or looked up where a rule names them. The copy holds the
    same layers and trains with plain `compile` and `fit`: after every step of its optimizer, weights of one
    cluster have one value, their centroid (see `tfopt.clustering.KeptClusters`). It saves and loads as a
    `.keras` file, with its clusters where Keras's own layers hold the kernels; call
    `tfopt.clustering.keep_clusters` after loading one with others.

    Args:
        model: any built model: functional, Sequential, or subclassed and called once. It is left as it is.
        clusters: different weights a kernel at most, 2 or more; zeros that are kept are one of them. None is
            16, or with `bytes` as many as fit, up to 256.
        init: the initial centroids. `"kmeans++"`: those of the least squared error, by k-means. `"linear"`:
            at equal distances. `"density"`: at equal steps of the cumulative distribution. `"random"`: drawn
            among the weights. `"gradient"`: by k-means where the error of a weight counts as the outputs
            depend on it; it needs `data`.
        granularity: `"tensor"`, or `"channel"` for centroids of its own in each output channel.
        assignments: `"nearest"` for weights that may go over to a nearer centroid while they train, by what
            they would be without clusters; `"fixed"` for weights that stay in their clusters. None is
            `"nearest"`, and `"fixed"` where that is not offered: with `granularity="channel"`, with
            `trainable=False`, and with `bytes`, which training must not change.
        trainable: whether training moves the centroids. Without, it changes only what is not clustered.
        keep_zeros: whether zeros stay zero in kernels without a mask too. The zeros of pruned kernels do.
        bytes: how small the weights are to be, compressed by DEFLATE (as by gzip): bytes, 1 or more, or a
            share in (0, 1) of what they are now. Each kernel then gets the number of clusters with which all
            of them together lose least (see `tfopt.clustering.budget`).
        scheme: what `bytes` counts the kernels in: `"float32"`, or `"int8"` for a model that is to be
            quantized.
        rules: layer path pattern -> clusters, or None for a layer that is left as it is; first match wins.
            Paths go into layers: `"mha/query"`, `"lstm/recurrent_kernel"`, `"block/dense"`.
        data: samples for `"gradient"`, such as `x_train[:256]` or a `tf.data.Dataset`; labels are not looked
            at.
        seed: of what is drawn at random.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, run and trained by Keras 3: train
            the model that is returned, then call `tfopt.tfmot.strip` on it.
        engine_options: of `cluster_weights`, for that engine: see `tfopt.tfmot.cluster`.

    Raises:
        InvalidArgumentError: an argument is out of range, a rule matches nothing, there is no kernel to
            cluster, or the model is quantization-aware.
        GoalError: the weights cannot become as small as `bytes`.
        UnsupportedModel: the model is subclassed and has not been called.

    Example:
        ```python
        model = tfopt.cluster(model, 32)
        model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
        model.fit(x_train, y_train, epochs=3)
        ```

    Reference:
        Han et al., 2016, Deep Compression (arXiv 1510.00149), section 3.
    """
    return clustered_copy(
        model,
        clusters,
        init=init,
        granularity=granularity,
        assignments=assignments,
        trainable=trainable,
        keep_zeros=keep_zeros,
        bytes=bytes,
        scheme=scheme,
        rules=rules,
        data=data,
        seed=seed,
        engine=engine,
        engine_options=engine_options,
        warn=True,
    )


def clustered_copy(
    model: keras.Model,
    clusters: int | None,
    *,
    init: str,
    granularity: str,
    assignments: str | None,
    trainable: bool,
    keep_zeros: bool,
    bytes: float | None,
    scheme: str,
    rules: Mapping[str, int | None] | None,
    data: Any,
    seed: int,
    engine: str,
    engine_options: Mapping[str, Any] | None,
    warn: bool = False,
) -> keras.Model:
    """Return what `cluster` returns; `warn` of clusters that a file does not hold, where nobody cares."""
    other = backends.other(
        "cluster",
        engine,
        engine_options,
        init=(init, "kmeans++"),
        granularity=(granularity, "tensor"),
        assignments=(assignments, None),
        trainable=(trainable, True),
        keep_zeros=(keep_zeros, True),
        bytes=(bytes, None),
        scheme=(scheme, "float32"),
    )
    if other is not None:
        return other.cluster(model, clusters or CLUSTERS, rules=rules, options=engine_options)
    check_arguments("cluster", clusters, init, granularity, assignments, trainable, bytes, scheme)
    graph.require_tensorflow("cluster")
    graph.require_built(model)
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware: cluster the float model first, then call "
            "tfopt.quantize_aware on the result, which keeps the clusters."
        )
    if bridges(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} runs tensorflow-model-optimization: call tfopt.tfmot.strip on it "
            "first."
        )
    if assignments is None:
        free = granularity == "tensor" and trainable and bytes is None
        assignments = "nearest" if free else "fixed"
    count = clusters or (None if bytes is not None else CLUSTERS)
    with model.distribute_strategy.scope():
        result = graph.copy(model)
        carry_masks(model, result)
        plans = planned(result, count, granularity=granularity, rules=rules, keep_zeros=keep_zeros)
        weighed = _weighed(result, plans, init, data, seed)

        @functools.lru_cache(maxsize=None if bytes is not None else 0)
        def clusters_of(plan: KernelPlan, number: int) -> Clusters:
            return find(
                plan.kernel.variable.numpy(),
                number,
                init=init,
                axes=plan.axes,
                alive=plan.alive,
                importance=weighed.get(id(plan.kernel.variable)),
                seed=seed,
            )

        if bytes is None:
            counts = [plan.clusters or CLUSTERS for plan in plans]
        else:
            counts = within(result, plans, bytes, clusters_of, scheme)
        for plan, number in zip(plans, counts, strict=True):
            _put(plan, clusters_of(plan, number), number, assignments, trainable)
    logger.info("%s: %d kernels are clustered", model.name, len(plans))
    lost = [plan.kernel.path for plan in plans if not plan.kernel.saved]
    if warn and lost:
        _warn_of_files(lost)
    return result


def _weighed(
    model: keras.Model, plans: list[KernelPlan], init: str, data: Any, seed: int
) -> dict[int, np.ndarray]:
    """Return `id` of a kernel's variable -> how much the error of each weight counts, if it is asked for."""
    if init != "gradient":
        return {}
    if data is None:
        raise InvalidArgumentError('cluster: init="gradient" reads samples: give data=x_train[:256].')
    functional = graph.is_functional(model)
    x, _ = labelled(data, "cluster: data", inputs=len(model.inputs) if functional else 1)
    if functional:
        require_fitting("cluster: data", x, graph.named_inputs(model))
    variables = [plan.kernel.variable for plan in plans]
    found = importances(model, x, variables, seed)
    return {id(variable): array for variable, array in zip(variables, found, strict=True)}


def _put(plan: KernelPlan, found: Clusters, number: int, assignments: str, trainable: bool) -> None:
    """Give a kernel its clusters: the values now, and the constraint that keeps them."""
    weights = plan.kernel.variable.numpy()

    def constraint(inner: Any) -> KeptClusters:
        if assignments == "nearest":
            zeros = [] if plan.alive is None else found.numbers[~plan.alive]
            fixed = int(zeros[0]) if len(zeros) else None
            return NearestClusters(found.numbers, inner, weights=weights, start=found.centroids, fixed=fixed)
        centroids = None if trainable else found.centroids.tolist()
        return KeptClusters(found.numbers, inner, bool(plan.axes), centroids)

    attach(plan.kernel, constraint, plan.alive)
    plan.kernel.variable.assign(found.values.astype(weights.dtype))
    logger.debug(
        "%s has %d clusters, %d were asked for%s",
        plan.kernel.path,
        len(found.centroids),
        number,
        " in each channel" if plan.axes else "",
    )


def _warn_of_files(lost: list[str]) -> None:
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    warnings.warn(
        f"A .keras file of this model does not hold the clusters of {', '.join(map(repr, lost[:3]))}{more}: "
        "no config has a place for them, in layers of your own, or next to the kernels that Keras knows "
        "constraints for. To train the loaded model further with its clusters, call "
        "tfopt.clustering.keep_clusters(model) before you compile it.",
        stacklevel=4,
    )
