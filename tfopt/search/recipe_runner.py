"""Running a recipe with the hyperparameters of a trial."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.run.file_lock import FileLock
from tfopt.run.run_folder import BusyRunError
from tfopt.search.early_stopping.judge import Judge
from tfopt.search.foresight import Foresight, foreseen
from tfopt.search.goals.goal import Goal
from tfopt.search.goals.objectives import UnfitGoalError, measured_as, unknown_metric

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run
    from tfopt.recipe.recipe import Recipe
    from tfopt.stages import Stage

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 2.0


class RecipeRunner:
    """Runs the trials of a search.

    Args:
        path: of the recipe file.
        data: what `tfopt.data.load` takes, in place of the recipe's.
        seed: of every run.
        strategy: see `tfopt.distribute.resolve`; the recipe's by default.
        judge: of trials that are stopped early, as `Judge.to_json` has it.
    """

    def __init__(
        self,
        path: str | Path,
        data: str | Path | None,
        seed: int,
        strategy: str | None,
        judge: Mapping[str, Any] | None = None,
    ) -> None:
        self._path, self._data, self._seed, self._strategy = Path(path), data, seed, strategy
        self.judge = None if judge is None else Judge(**judge)

    @functools.cached_property
    def _as_it_stands(self) -> Recipe:
        return self._recipe()

    @property
    def name(self) -> str:
        """The name of the recipe's runs.

        Raises:
            RecipeError: whatever is wrong with the file itself is said now, not once for every trial.
        """
        return self._as_it_stands.name or self._path.stem

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that make another one in another process, as JSON values."""
        data = self._data if self._data is None else str(self._data)
        return {
            **{"path": str(self._path), "data": data, "seed": self._seed, "strategy": self._strategy},
            "judge": None if self.judge is None else self.judge.to_json(),
        }

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of the recipe as it stands."""
        return self._as_it_stands.stages

    def check(self, goal: Goal) -> None:
        """Raise where the recipe as it stands cannot be searched for a goal.

        Raises:
            InvalidArgumentError: its strategy is one of several processes.
            UnfitGoalError: it does not measure what the goal needs. What cannot be known before a run is left
                to the first trial.
        """
        from tfopt.distribute import check_single_process

        strategy = self._as_it_stands.strategy if self._strategy is None else self._strategy
        check_single_process("search", strategy)
        if not goal.of_model:
            return
        try:
            measured = self._as_it_stands.metric_names()
        except Exception as error:  # noqa: BLE001  # the first trial fails by it and says so
            logger.info("which metrics the recipe measures is not known before it runs: %s", error)
            return
        for name in goal.of_model:
            if measured_as(name, measured) is None:
                raise UnfitGoalError(unknown_metric(name, measured))

    def declare(self) -> keras_tuner.HyperParameters:
        """Return the hyperparameters that the recipe asks for, also those in its functions."""
        import keras_tuner

        return self._recipe(keras_tuner.HyperParameters()).declare()

    def foresee(self, hyperparameters: keras_tuner.HyperParameters, limited: Collection[str]) -> Foresight:
        """Return what is known of such a run before it trains, of these costs."""
        recipe = self._recipe_for(hyperparameters)
        recipe.declare()  # a trial that is rejected has all of its values
        return foreseen(recipe, limited)

    def run_trial(self, hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        """Run the recipe with these hyperparameters, which it adds to, in a folder of runs.

        A run that another process writes is waited for: it has the same values.
        """
        while True:
            recipe = self._recipe_for(hyperparameters)
            try:
                # A run shows its metrics on the test split, by which nobody may choose.
                return recipe.run(
                    runs,
                    seed=self._seed,
                    strategy=self._strategy,
                    share=True,
                    gate=self.judge,
                    quiet=True,
                )
            except BusyRunError as error:
                logger.info("waiting: %s", error)
                time.sleep(_SECONDS_BETWEEN_LOOKS)

    def measure_latency(self, first: Path, second: Path) -> float:
        """Return the latency of the second file as a ratio to the first one's.

        Two such measurements on one machine would disturb each other, so they take turns.
        """
        from tfopt.measure.latency import latency

        files = {"first": first.read_bytes(), "second": second.read_bytes()}
        with FileLock(Path(tempfile.gettempdir()) / f"tfopt-latency-{_user()}.lock"):
            return latency(files)["second"].ratio

    def _recipe_for(self, hyperparameters: keras_tuner.HyperParameters) -> Recipe:
        import keras

        # The memory of the trial before must not add up, nor the names that Keras counts.
        keras.utils.clear_session()
        return self._recipe(hyperparameters)

    def _recipe(self, hyperparameters: keras_tuner.HyperParameters | None = None) -> Recipe:
        from tfopt.recipe.recipe import Recipe

        return Recipe.from_file(self._path, data=self._data, hyperparameters=hyperparameters)


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
