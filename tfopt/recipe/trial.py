"""The recipe of a trial of a search, to run it again or to go on from it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import RunError
from tfopt.recipe.recipe import Recipe
from tfopt.run.search_folder import find_trial
from tfopt.run.search_record import SearchRecord, TrialRecord

if TYPE_CHECKING:
    from tfopt.data import Dataset


@dataclass(frozen=True, kw_only=True)
class LocatedTrial:
    """A trial of a search.

    Attributes:
        search: the folder of the search.
        record: of the search.
        trial: of the trial.
        file: of the recipe.
    """

    search: Path
    record: SearchRecord
    trial: TrialRecord
    file: Path

    @property
    def runs(self) -> Path:
        """The folder of the search's runs."""
        return self.search.parent / "trials"

    def recipe(
        self, values: Mapping[str, Any], data: Dataset | str | os.PathLike[str] | None = None
    ) -> Recipe:
        """Return the recipe with the trial's values.

        Args:
            values: hyperparameter -> value, in place of the trial's.
            data: in place of the search's.

        Raises:
            RecipeError: as `Recipe.from_file`.
        """
        theirs = dict(self.trial.values)
        # Where one value is changed, others may be asked for no more.
        optional = theirs.keys() - values.keys() if values else ()
        data = self.record.data if data is None else data
        made = Recipe.from_file(self.file, values={**theirs, **values}, data=data, optional=optional)
        return made if self.record.seed is None else dataclasses.replace(made, seed=self.record.seed)


def located(
    trial: str | os.PathLike[str] | int, recipe: str | os.PathLike[str] | None = None
) -> LocatedTrial:
    """Return the trial that a user names; see `Recipe.from_trial`.

    Raises:
        RunError: there is no such search or trial, or nobody says whose recipe it is.
    """
    where = Path(str(trial) if isinstance(trial, int) else trial)
    alone = where.name.isdecimal() and len(where.parts) == 1
    if alone and recipe is None:
        raise RunError(
            f"Trial {where} of which search? Name its folder, such as "
            f"saved_models/digits/search-12ab34cd/{where}, or the recipe."
        )
    folder = Path("saved_models")
    if alone and recipe is not None:
        folder /= Recipe.from_file(recipe).name or Path(recipe).stem
    search, record, found = find_trial(where, folder)
    theirs = None if record.recipe is None else record.recipe.file
    file = theirs if recipe is None else recipe
    if file is None:
        raise RunError(f"The search {search} does not say which recipe it is of: give one.")
    return LocatedTrial(search=search, record=record, trial=found, file=Path(file))
