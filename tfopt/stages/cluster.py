"""The stage that leaves few different weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from tfopt import _validation, backends
from tfopt.clustering import cluster
from tfopt.errors import InvalidArgumentError, InvariantError
from tfopt.measure.kernels import Kernel, kernels
from tfopt.stages.base import Context, Stage


@dataclasses.dataclass(frozen=True)
class Cluster(Stage):
    """Clusters the weights of each kernel while training (see `tfopt.cluster`).

    Args:
        clusters: different weights a kernel, 2 or more.
        epochs: how long to train, 1 or more.
        rules: layer path pattern -> clusters, or None to leave a layer alone.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is a tenth of the compiled
            one after `Train`, or where the model as given is better than a guess; else the compiled one.
        engine: `"tfmot"`.
        engine_options: as `tfopt.cluster` takes them: JSON values.

    Raises:
        InvalidArgumentError: an argument is out of its range.
    """

    title: ClassVar[str] = "clustered"
    fine_tuning: ClassVar[float] = 0.1

    clusters: int = 16
    _: dataclasses.KW_ONLY
    epochs: int = 3
    rules: Mapping[str, int | None] | None = None
    learning_rate: float | None = None
    engine: Literal["tfmot"] = "tfmot"
    engine_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _validation.whole("Cluster", "clusters", self.clusters, at_least=2)
        _validation.whole("Cluster", "epochs", self.epochs, at_least=1)
        if self.learning_rate is not None:
            _validation.number("Cluster", "learning_rate", self.learning_rate, above=0)
        backends.checked("Cluster", self.engine, self.engine_options)
        if self.engine == backends.KERAS:
            raise InvalidArgumentError('Cluster: engine="keras" does not cluster yet. Use engine="tfmot".')

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the clustered and trained model; `record` gets the different weights of each kernel."""
        from tfopt import tfmot

        clustered = cluster(
            model, self.clusters, rules=self.rules, engine=self.engine, engine_options=self.engine_options
        )
        context.fit(clustered, epochs=self.epochs)
        stripped = tfmot.strip(clustered)
        context.record["kernels"] = [
            {"layer": kernel.path, "weights": _different(kernel)} for kernel in kernels(stripped)
        ]
        return stripped

    def check(self, before: keras.Model, after: keras.Model) -> None:
        """Raise where a kernel that had at most `clusters` different weights has more of them in `after`.

        Kernels are compared by path; those that a later stage renames are not.
        """
        found = {kernel.path: _different(kernel) for kernel in kernels(after)}
        for kernel in kernels(before):
            had, has = _different(kernel), found.get(kernel.path, 0)
            if had <= self.clusters < has:
                raise InvariantError(
                    f"The kernel of {kernel.path!r} had {had} different weights and has {has}: the stage "
                    "that ran last trained it without its clusters. Give it preserve=['clusters'] if it is "
                    "QuantizeAware, leave the layer out of it by a rule, or put it before Cluster."
                )


def _different(kernel: Kernel) -> int:
    return len(np.unique(kernel.variable.numpy()))
