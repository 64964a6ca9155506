"""Running a recipe with the hyperparameters of a trial."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from tfopt.search.foresight import Foresight, foreseen
from tfopt.search.goals.goal import Goal
from tfopt.search.goals.objectives import UnfitGoalError, measured_as, unknown_metric

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run
    from tfopt.recipe.recipe import Recipe

logger = logging.getLogger(__name__)


class RecipeRunner:
    """Runs the trials of a search.

    Args:
        path: of the recipe file.
        data: what `tfopt.data.load` takes, in place of the recipe's.
        seed: of every run.
        strategy: see `tfopt.distribute.resolve`; the recipe's by default.

    Raises:
        RecipeError: whatever is wrong with the file itself is said now, not once for every trial.
    """

    def __init__(self, path: Path, data: str | Path | None, seed: int, strategy: str | None) -> None:
        self._path, self._data, self._seed, self._strategy = path, data, seed, strategy
        self._as_it_stands = self._recipe()
        self.name = self._as_it_stands.name or path.stem

    def check(self, goal: Goal) -> None:
        """Raise where the recipe as it stands does not measure what a goal needs.

        Raises:
            UnfitGoalError: it does not. What cannot be known before a run is left to the first trial.
        """
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

    def run(self, hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        """Run the recipe with these hyperparameters, which it adds to, in a folder of runs."""
        # A run shows its metrics on the test split, by which nobody may choose.
        recipe = self._recipe_for(hyperparameters)
        return recipe.run(runs, seed=self._seed, strategy=self._strategy, quiet=True)

    def foresee(self, hyperparameters: keras_tuner.HyperParameters, limited: Collection[str]) -> Foresight:
        """Return what is known of such a run before it trains, of these costs."""
        recipe = self._recipe_for(hyperparameters)
        recipe.declare()  # a trial that is rejected has all of its values
        return foreseen(recipe, limited)

    def _recipe_for(self, hyperparameters: keras_tuner.HyperParameters) -> Recipe:
        import keras

        # The memory of the trial before must not add up, nor the names that Keras counts.
        keras.utils.clear_session()
        return self._recipe(hyperparameters)

    def _recipe(self, hyperparameters: keras_tuner.HyperParameters | None = None) -> Recipe:
        from tfopt.recipe.recipe import Recipe

        return Recipe.from_file(self._path, data=self._data, hyperparameters=hyperparameters)
