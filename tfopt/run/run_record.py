"""The record of a run: the content of `run.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfopt.run.json_record import OMITTED, Record
from tfopt.run.stage_record import StageRecord

SCHEMA = 1
"""The version of `run.json` that is written and read."""

STATUSES = ("running", "complete", "failed", "stopped")
"""What a file says of its run. What `Run.load` finds out beyond that: `"interrupted"`, `"damaged"`."""


@dataclass(frozen=True, kw_only=True)
class RecipeRecord(Record):
    """The recipe's file and the values of its hyperparameters."""

    file: str | None = None
    values: Mapping[str, Any] | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class StrategyRecord(Record):
    """The name of a `tf.distribute.Strategy` and its number of replicas."""

    name: str | None = None
    replicas: int | None = None


@dataclass(frozen=True, kw_only=True)
class DataRecord(Record):
    """What `Dataset.describe` returned.

    Attributes:
        name: of the dataset.
        input_shape: of one sample; a dict or list of shapes where a model has several inputs.
        num_classes: `None` for targets that are no classes.
        train, validation, test: the number of samples in each split.
        normalization: what was done to the inputs.
        class_names: in order, if the data has any.
        place: where samples are read from while they are needed; `None` where all are in memory.
        fingerprint: a digest of all arrays.
    """

    name: str | None = None
    input_shape: Any = None
    num_classes: int | None = None
    train: int | None = None
    validation: int | None = None
    test: int | None = None
    normalization: str | None = None
    class_names: tuple[str, ...] | None = field(default=None, metadata=OMITTED)
    place: str | None = field(default=None, metadata=OMITTED)
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelRecord(Record):
    """The model that a run starts from: its name, its parameters and the names of its outputs."""

    name: str | None = None
    parameters: int | None = None
    outputs: tuple[str, ...] | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class EnvironmentRecord(Record):
    """Versions of what matters to a result (`None` where it is not installed), and the machine."""

    tfopt: str | None = None
    tensorflow: str | None = None
    keras: str | None = None
    ai_edge_litert: str | None = None
    python: str | None = None
    platform: str | None = None
    cpu: str | None = None
    cores: int | None = None
    gpus: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord(Record):
    """A run: what it was told, where it ran, and its stages.

    Attributes:
        schema: the version of the file.
        name: of the run, for people.
        id: the name of its folder.
        fingerprint: two runs with the same one have the same result.
        parts: part of the fingerprint -> its digest, to say what differs between two runs.
        status: one of `STATUSES`, `"interrupted"` or `"damaged"`.
            A run is stopped where a search judged it by its first epochs; it goes on like an interrupted one.
        error: why the run failed, or what is damaged.
        created, finished: moments in ISO 8601.
        seconds: all stages together.
        command: as one would type it again.
        recipe: the recipe's file and values; `None` without a file.
        seed, batch_size: of the run.
        strategy, data, model, environment: what it ran with.
        warnings: what the run has to say.
        stages: in order.
    """

    schema: int = SCHEMA
    name: str | None = None
    id: str | None = None
    fingerprint: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    status: str = "complete"
    error: str | None = None
    created: str | None = None
    finished: str | None = None
    seconds: float | None = None
    command: str | None = None
    recipe: RecipeRecord | None = None
    seed: int | None = None
    batch_size: int | None = None
    strategy: StrategyRecord | None = None
    data: DataRecord | None = None
    model: ModelRecord | None = None
    warnings: tuple[str, ...] = ()
    environment: EnvironmentRecord | None = None
    stages: tuple[StageRecord, ...] = ()

    @classmethod
    def upgraded(cls, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the content with a number for each stage, which older versions of tfopt did not write."""
        stages = content.get("stages")
        if not isinstance(stages, list | tuple) or not all(isinstance(each, Mapping) for each in stages):
            return content
        first = 0 if stages and stages[0].get("number", stages[0].get("name")) in (0, "start") else 1
        return {
            **content,
            "stages": [{"number": number, **stage} for number, stage in enumerate(stages, first)],
        }

    @property
    def is_complete(self) -> bool:
        """Whether all stages are done."""
        return self.status == "complete"

    @property
    def measured(self) -> list[StageRecord]:
        """The stages that are complete."""
        return [stage for stage in self.stages if stage.is_complete]

    @property
    def compared(self) -> list[StageRecord]:
        """The stages that are complete, from the first whose model is better than a guess, if there is one.

        What the file lost is counted from there: a model that is yet to be trained has nothing to lose.
        """
        measured = self.measured
        learned = (place for place, stage in enumerate(measured) if not stage.at_chance)
        return measured[next(learned, 0) :]

    @property
    def epochs(self) -> int:
        """How many epochs the run trained itself; those of stages taken from other runs do not count."""
        return sum(stage.epochs for stage in self.stages if stage.taken_from is None)

    @property
    def own_seconds(self) -> float:
        """How long the run's own stages took; `seconds` counts those taken from other runs, too."""
        return sum(stage.seconds for stage in self.stages if stage.taken_from is None)

    def with_stage(self, stage: StageRecord) -> RunRecord:
        """Return the record with the stage of that number replaced."""
        stages = tuple(stage if each.number == stage.number else each for each in self.stages)
        return dataclasses.replace(self, stages=stages)
