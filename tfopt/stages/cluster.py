"""The stage that leaves few different weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from tfopt import _validation, backends
from tfopt.clustering.arguments import check_arguments
from tfopt.clustering.budget import compressed_weights
from tfopt.clustering.cluster import clustered_copy
from tfopt.clustering.kept import clustered_kernels, different_weights
from tfopt.errors import GoalError, InvariantError
from tfopt.measure.kernels import kernels
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

_SAMPLES = 256


@dataclasses.dataclass(frozen=True)
class Cluster(Stage):
    """Clusters the weights of each kernel while training (see `tfopt.cluster`).

    Args:
        clusters: different weights a kernel, 2 or more; None is 16, or with `bytes` as many as fit.
        epochs: how long to train, 1 or more.
        init, granularity, assignments, trainable, keep_zeros: as `tfopt.cluster` takes them.
        scheme: what `bytes` counts the kernels in, `"float32"` or `"int8"`; None is what the pipeline ends
            with.
        bytes: how small the weights are to be, compressed, as `tfopt.cluster` takes it. They are counted
            again after the training.
        rules: layer path pattern -> clusters, or None to leave a layer alone.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is a tenth of the compiled
            one after `Train`, or where the model as given is better than a guess; else the compiled one.
        teacher: the model to distil from while training, as `tfopt.Distill` takes it; None for none.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, trained by Keras 3.
        engine_options: as `tfopt.cluster` takes them: JSON values.

    Raises:
        InvalidArgumentError: an argument is out of its range.
    """

    title: ClassVar[str] = "clustered"
    keeps_size: ClassVar[bool] = True
    fine_tuning: ClassVar[float] = 0.1

    clusters: int | None = None
    _: dataclasses.KW_ONLY
    epochs: int = 3
    init: Literal["kmeans++", "linear", "density", "random", "gradient"] = "kmeans++"
    granularity: Literal["tensor", "channel"] = "tensor"
    assignments: Literal["nearest", "fixed"] | None = None
    trainable: bool = True
    keep_zeros: bool = True
    bytes: float | None = None
    scheme: Literal["float32", "int8"] | None = None
    rules: Mapping[str, int | None] | None = None
    learning_rate: float | None = None
    teacher: TeacherLike = None
    engine: Literal["keras", "tfmot"] = "keras"
    engine_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_arguments(
            "Cluster",
            self.clusters,
            self.init,
            self.granularity,
            self.assignments,
            self.trainable,
            self.bytes,
            self.scheme or "float32",
        )
        _validation.flag("Cluster", "keep_zeros", self.keep_zeros)
        _validation.whole("Cluster", "epochs", self.epochs, at_least=1)
        if self.learning_rate is not None:
            _validation.number("Cluster", "learning_rate", self.learning_rate, above=0)
        checked_teacher("Cluster", self.teacher)
        backends.checked("Cluster", self.engine, self.engine_options)

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the clustered and trained model; `record` gets the different weights of each kernel.

        Raises:
            GoalError: the weights are not as small as `bytes`.
        """
        scheme = self.scheme or "float32"
        if self.bytes is not None and self.scheme is None:
            scheme = "float32" if context.scheme.startswith("float") else "int8"
        limit = self._limit(model, scheme)
        clustered = clustered_copy(
            model,
            self.clusters,
            init=self.init,
            granularity=self.granularity,
            assignments=self.assignments,
            trainable=self.trainable,
            keep_zeros=self.keep_zeros,
            bytes=self.bytes,
            scheme=scheme,
            rules=self.rules,
            data=self._samples(context),
            seed=context.seed if self.engine == backends.KERAS else 0,
            engine=self.engine,
            engine_options=self.engine_options,
        )
        context.fit(clustered, epochs=self.epochs)
        if self.engine == backends.TFMOT:
            from tfopt import tfmot

            clustered = tfmot.strip(clustered)
        context.record["kernels"] = [
            {"layer": kernel.path, "weights": different_weights(kernel)} for kernel in kernels(clustered)
        ]
        if limit is not None:
            found = compressed_weights(clustered, scheme)
            context.record["weights_bytes"] = found
            if found > limit:
                raise GoalError(
                    f"Cluster: after the training the weights compress to {found} bytes, above the "
                    f"{int(limit)} of bytes={self.bytes}. Ask for a little less, or take "
                    'assignments="fixed", which training cannot change.'
                )
        return clustered

    def check(self, before: keras.Model, after: keras.Model) -> None:
        """Raise where a clustered kernel of `before` has more different weights in `after`.

        Kernels are compared by path; those that a later stage renames are not.
        """
        found = {kernel.path: different_weights(kernel) for kernel in kernels(after)}
        kept = clustered_kernels(before)
        most = self.clusters or 16
        for kernel in kernels(before):
            had, has = different_weights(kernel), found.get(kernel.path, 0)
            if has > had and (kernel.path in kept or had <= most < has):
                raise InvariantError(
                    f"The kernel of {kernel.path!r} had {had} different weights and has {has}: the stage "
                    "that ran last trained it without its clusters. Give it preserve=['clusters'] if it is "
                    "QuantizeAware, leave the layer out of it by a rule, or put it before Cluster."
                )

    def _limit(self, model: keras.Model, scheme: str) -> float | None:
        if self.bytes is None or self.bytes >= 1:
            return self.bytes
        return self.bytes * compressed_weights(model, scheme)

    def _samples(self, context: Context) -> Any:
        if self.init != "gradient":
            return None
        x, _ = context.data.split("train")
        return keras.tree.map_structure(lambda array: np.asarray(array[:_SAMPLES]), x)
