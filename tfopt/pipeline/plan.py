"""All that decides what a run will do, in one value, and its fingerprint."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from tfopt import _validation
from tfopt.data.dataset import Dataset
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline import fingerprint
from tfopt.pipeline.compilation import Compilation
from tfopt.pipeline.stage_context import Callbacks, new_callbacks
from tfopt.stages.base import Stage
from tfopt.stages.train import Train

if TYPE_CHECKING:
    from tfopt.stages.base import Context


@dataclass(frozen=True)
class AsGiven(Stage):
    """Stands in the table for the model as it came, where the pipeline does not begin by training it."""

    title: ClassVar[str] = "as given"

    def apply(self, model: keras.Model, context: Context) -> keras.Model:  # noqa: ARG002
        """Return the model."""
        return model


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage and its place in a run.

    Attributes:
        number: counted from 1; 0 for the model as given.
        stage: the stage.
    """

    number: int
    stage: Stage

    @property
    def name(self) -> str:
        """The stage's class as a file name: `"quantize_aware"`."""
        if isinstance(self.stage, AsGiven):
            return "start"
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self.stage).__name__).lower()

    @property
    def folder(self) -> str:
        """The stage's folder in the run's."""
        return f"stages/{self.number}-{self.name}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will do.

    Attributes:
        model: the model to start from.
        data, compilation, callbacks, stages: see `Recipe`.
        batch_size: samples a step, over all replicas.
        seed: random seed.
        strategy: under which to train.
        name: of the run.
        recipe: the recipe's file and values, for the record.
        warnings: what the preflight has to say.
    """

    model: keras.Model
    data: Dataset
    compilation: Compilation
    callbacks: Callbacks
    stages: Sequence[Stage]
    batch_size: int
    seed: int
    strategy: tf.distribute.Strategy
    name: str
    recipe: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("seed", 0)):
            _validation.whole("Pipeline", name, getattr(self, name), at_least=least)
        if not isinstance(self.data, Dataset):
            raise InvalidArgumentError(
                f"data must be a tfopt.data.Dataset, got {type(self.data).__name__}. Make one with "
                "tfopt.data.load(...) or tfopt.data.from_arrays(...)."
            )

    @property
    def steps(self) -> list[Step]:
        """The stages in order, after the model as given where the first one does not train it."""
        given = [] if isinstance(self.stages[0], Train) else [Step(number=0, stage=AsGiven())]
        return [*given, *(Step(number=i, stage=stage) for i, stage in enumerate(self.stages, 1))]

    def stage_seed(self, number: int) -> int:
        """Return the seed of a stage: a resumed stage must not depend on what ran before it."""
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def parts(self) -> dict[str, str]:
        """Return the digest of each part of the fingerprint, so that one can say what has changed."""
        steps = self.data.steps_per_epoch(self.batch_size)
        lengths = [getattr(stage, "epochs", 0) or 0 for stage in self.stages]
        optimizers = [
            keras.saving.serialize_keras_object(self.compilation.optimizer(steps * epochs))
            for epochs in lengths
            if epochs
        ]
        whole = {
            "model": fingerprint.model_config(self.model),
            "weights": fingerprint.weights_digest(self.model),
            "compilation": fingerprint.without_made_up_names(self.compilation.config),
            "optimizers": fingerprint.without_made_up_names(optimizers),
            "stages": [stage.get_config() for stage in self.stages],
            "callbacks": fingerprint.callback_configs(new_callbacks(self.callbacks)),
            "data": self.data.fingerprint(),
            "seed": self.seed,
            "batch size": self.batch_size,
            "replicas": self.strategy.num_replicas_in_sync,
        }
        return {name: fingerprint.fingerprint({name: part}) for name, part in whole.items()}
