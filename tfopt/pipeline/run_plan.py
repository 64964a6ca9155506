"""What a run will do, decided before anything is trained, and its fingerprint."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import keras
import tensorflow as tf

from tfopt import distribute
from tfopt.pipeline import fingerprint
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.training.compilation import output_names
from tfopt.run.environment import command, environment, now
from tfopt.run.run_record import DataRecord, ModelRecord, RunRecord, StrategyRecord
from tfopt.run.stage_record import StageRecord
from tfopt.stages.base import Stage
from tfopt.stages.teaching import teacher_of
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
class PlannedStage:
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

    @property
    def epochs(self) -> int:
        """How many epochs the stage says that it trains."""
        return getattr(self.stage, "epochs", 0) or 0

    def pending(self) -> StageRecord:
        """Return the record of the stage before it begins."""
        return StageRecord(
            number=self.number,
            name=self.name,
            title=self.stage.title,
            config=self.stage.get_config(),
            status="pending",
        )


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What a run will do.

    Attributes:
        config: what the user asked for; data and compilation as the model takes them.
        model: the model to start from.
        warnings: what the preflight has to say.
        optimizers: number of a stage that trains -> the optimizer that the user's function made for it. It
            is called here, once for each stage, because a fingerprint holds what it returned; the stage
            takes the optimizer out and trains with it. Empty where the optimizer is not a function.
    """

    config: RunConfig
    model: keras.Model
    warnings: tuple[str, ...] = ()
    optimizers: dict[int, keras.optimizers.Optimizer] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        compilation, made = self.config.compilation, {}
        if compilation.make_optimizer is not None:
            with self.config.scope():
                for planned in self.stages:
                    if planned.epochs:
                        made[planned.number] = compilation.optimizer(self.config.steps(planned.epochs))
        object.__setattr__(self, "optimizers", made)

    @property
    def stages(self) -> list[PlannedStage]:
        """The stages in order, after the model as given where the first one does not train it."""
        stages = self.config.stages
        given = [] if isinstance(stages[0], Train) else [PlannedStage(number=0, stage=AsGiven())]
        return [*given, *(PlannedStage(number=i, stage=stage) for i, stage in enumerate(stages, 1))]

    def stage_seed(self, number: int) -> int:
        """Return the seed of a stage: a resumed stage must not depend on what ran before it."""
        digest = hashlib.sha256(f"{self.config.seed}/{number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def parts(self) -> dict[str, str]:
        """Return the digest of each part of the fingerprint, so that one can say what has changed.

        Call it before the first stage takes its optimizer.
        """
        config = self.config
        optimizers = [
            self.optimizers.get(planned.number) or config.compilation.optimizer(config.steps(planned.epochs))
            for planned in self.stages
            if planned.epochs
        ]
        serialized = [keras.saving.serialize_keras_object(optimizer) for optimizer in optimizers]
        whole = {
            "model": fingerprint.model_config(self.model),
            "weights": fingerprint.weights_digest(self.model),
            "compilation": fingerprint.without_made_up_names(config.compilation.config),
            "optimizers": fingerprint.without_made_up_names(serialized),
            "stages": [stage.get_config() for stage in config.stages],
            "callbacks": fingerprint.callback_configs(config.new_callbacks()),
            "data": config.data.fingerprint(),
            "seed": config.seed,
            "batch size": config.batch_size,
            "replicas": config.strategy.num_replicas_in_sync,
        }
        if config.scale_learning_rate is not None:
            whole["learning rate scaling"] = config.scale_learning_rate
        if config.drop_remainder:
            whole["drop remainder"] = True
        files = [teacher.file for stage in config.stages if (teacher := teacher_of(stage)) and teacher.file]
        if files:
            whole["teachers"] = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
        return {name: fingerprint.fingerprint({name: part}) for name, part in whole.items()}

    def record(self, path: Path, digest: str, parts: dict[str, str]) -> RunRecord:
        """Return the record of the run before the first stage.

        Args:
            path: the folder of the run.
            digest: its fingerprint.
            parts: of the fingerprint.
        """
        config = self.config
        return RunRecord(
            name=config.name,
            id=path.name,
            fingerprint=digest,
            parts={name: part[:8] for name, part in parts.items()},
            status="running",
            created=now(),
            seconds=0.0,
            command=command(),
            recipe=config.recipe() if config.recipe else None,
            seed=config.seed,
            batch_size=config.batch_size,
            strategy=StrategyRecord.from_json(distribute.describe(config.strategy)),
            data=DataRecord.from_json(config.data.describe()),
            model=ModelRecord(
                name=self.model.name,
                parameters=self.model.count_params(),
                outputs=tuple(output_names(self.model)),
            ),
            warnings=self.warnings,
            environment=environment(gpus()),
            stages=tuple(planned.pending() for planned in self.stages),
        )


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow sees."""
    return [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
