"""The settings of a run that hold for all of its stages, whichever class was called."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from tfopt import _validation
from tfopt.data.dataset import Dataset
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline.training.compilation import Compilation
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
    recipe: Callable[[], RecipeRecord] | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("seed", 0)):
            _validation.whole(self.caller, name, getattr(self, name), at_least=least)
        check_data(self.caller, self.data)

    def steps(self, epochs: int) -> int:
        """Return how many steps a training of so many epochs has."""
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
            f"{caller}: data must be a tfopt.data.Dataset, got {type(data).__name__}. Make one with "
            "tfopt.data.load(...) or tfopt.data.from_arrays(...)."
        )
