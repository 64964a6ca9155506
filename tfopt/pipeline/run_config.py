"""The settings of a run that hold for all of its stages, whichever class was called."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfopt import _validation, backends, distribute
from tfopt.callbacks import BatchSizeRamp
from tfopt.data.dataset import Dataset
from tfopt.data.structure import count
from tfopt.distribute.process_group import ProcessGroup
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline.training.compilation import Compilation
from tfopt.pipeline.training.precision import Precision
from tfopt.run.run_record import RecipeRecord
from tfopt.stages.base import Stage

Callbacks = Sequence[keras.callbacks.Callback] | Callable[[], Sequence[keras.callbacks.Callback]]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What the user asked for.

    Attributes:
        caller: the class that the user called, which errors name: `"Pipeline"` or `"Recipe"`.
        name: of the run, for people.
        data: what to train, validate and test on.
        stages: in order.
        compilation: how each stage compiles its model.
        callbacks: the user's, for every training.
        batch_size: samples a step, over all replicas.
        seed: random seed, from 0.
        strategy: under which to train.
        reason: why that one, in words.
        scale_learning_rate: multiplies compiled rates by the number of replicas (`"linear"`) or its root
            (`"sqrt"`), for a `batch_size` that was raised with them.
        precision: what the model computes in; `None` as it is.
        drop_remainder: leave out of each epoch the samples that do not fill a batch, so that all batches
            have one shape.
        checkpoint_steps: write a checkpoint each so many steps too, and not only after each epoch.
        recipe: returns the recipe's file and values once all of its functions were called; `None` without a
            recipe file.

    Raises:
        InvalidArgumentError: an argument is of the wrong kind or out of its range.
    """

    caller: str
    name: str
    data: Dataset
    stages: Sequence[Stage]
    compilation: Compilation
    callbacks: Callbacks
    batch_size: int
    seed: int
    strategy: tf.distribute.Strategy
    reason: str = ""
    scale_learning_rate: str | None = None
    precision: Precision | None = None
    drop_remainder: bool = False
    checkpoint_steps: int | None = None
    recipe: Callable[[], RecipeRecord] | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("seed", 0)):
            _validation.whole(self.caller, name, getattr(self, name), at_least=least)
        if self.checkpoint_steps is not None:
            _validation.whole(self.caller, "checkpoint_steps", self.checkpoint_steps, at_least=1)
        check_data(self.caller, self.data)
        if self.scale_learning_rate is not None:
            _validation.choice(
                self.caller, "scale_learning_rate", self.scale_learning_rate, ("linear", "sqrt")
            )
        _validation.flag(self.caller, "drop_remainder", self.drop_remainder)
        if not self.steps(1):
            raise InvalidArgumentError(
                f"{self.caller}: drop_remainder=True leaves none of the {count(self.data.x_train)} training "
                f"samples, which do not fill one batch of {self.batch_size}: take a smaller batch_size."
            )
        self._check_replicas()

    def _check_replicas(self) -> None:
        """Raise where a batch or a split cannot be shared by the replicas."""
        replicas = self.strategy.num_replicas_in_sync
        if self.batch_size % replicas:
            raise InvalidArgumentError(
                f"{self.caller}: batch_size={self.batch_size} does not divide by the {replicas} replicas of "
                f"the strategy: take {self.batch_size // replicas * replicas or replicas} or "
                f"{(self.batch_size // replicas + 1) * replicas}."
            )
        distribute.check_jit_compile(
            f"{self.caller}: the model", self.strategy, self.compilation.config.get("jit_compile")
        )
        for split in ("train", "validation"):
            samples = count(self.data.split(split)[0])
            if samples < replicas:
                raise InvalidArgumentError(
                    f"{self.caller}: the {split} split has {samples} samples for {replicas} replicas: give "
                    "each at least one, or train on fewer devices."
                )
        if self.group is not None:
            for stage in self.stages:
                if getattr(stage, "engine", None) == backends.TFMOT:
                    raise InvalidArgumentError(
                        f"{self.caller}: TFMOT trains in one process, and {type(stage).__name__} has it for "
                        'its engine: leave engine at "keras", or take another strategy.'
                    )

    @property
    def group(self) -> ProcessGroup | None:
        """The processes that train together with this one; `None` where it is alone."""
        return distribute.group_of(self.strategy)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the scope in which a stage makes its models.

        With several processes it is none: what they train together is copied into their strategy, see
        `tfopt.pipeline.training.replicated`.
        """
        return self.strategy.scope() if self.group is None else contextlib.nullcontext()

    def alone(self) -> RunConfig:
        """Return the settings for what one process does alone."""
        return (
            self if self.group is None else dataclasses.replace(self, strategy=tf.distribute.get_strategy())
        )

    @property
    def rate_factor(self) -> float:
        """What compiled learning rates are multiplied by."""
        replicas = self.strategy.num_replicas_in_sync
        return {None: 1.0, "linear": float(replicas), "sqrt": replicas**0.5}[self.scale_learning_rate]

    def is_uneven(self) -> bool:
        """Return whether some batch of a training has more samples for one replica than for another."""
        last = 0 if self.drop_remainder else count(self.data.x_train) % self.batch_size
        ramps = any(isinstance(each, BatchSizeRamp) for each in self.new_callbacks())
        return bool(ramps or last % self.strategy.num_replicas_in_sync)

    def steps(self, epochs: int) -> int:
        """Return how many steps a training of so many epochs has."""
        if self.drop_remainder:
            return count(self.data.x_train) // self.batch_size * epochs
        return self.data.steps_per_epoch(self.batch_size) * epochs

    def new_callbacks(self) -> list[keras.callbacks.Callback]:
        """Return the user's callbacks for one training: what a callable makes, else deep copies.

        Raises:
            InvalidArgumentError: they are no Keras callbacks.
        """
        callback = keras.callbacks.Callback
        made = self.callbacks() if callable(self.callbacks) else self.callbacks
        if not isinstance(made, list | tuple) or not all(isinstance(each, callback) for each in made):
            raise InvalidArgumentError(
                f"{self.caller}: callbacks must be a list of Keras callbacks, or a function that returns "
                f"one, got {type(made).__name__ if isinstance(made, callback) else repr(made)}."
            )
        return list(made) if callable(self.callbacks) else [copy.deepcopy(each) for each in made]


def check_data(caller: str, data: object) -> None:
    """Raise unless the data is a dataset.

    Raises:
        InvalidArgumentError: it is something else.
    """
    if not isinstance(data, Dataset):
        raise InvalidArgumentError(
            f"{caller}: data must be a tfopt.data.Dataset, a tf.data.Dataset, a keras.utils.PyDataset or a "
            f"generator function, got {type(data).__name__}. Make one with tfopt.data.load(...) or "
            "tfopt.data.from_arrays(...)."
        )
