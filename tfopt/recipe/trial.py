"""The recipe of a trial of a search, to run it again or to go on from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfopt.errors import RunError
from tfopt.run.search_folder import find_trial
from tfopt.run.search_record import SearchRecord, TrialRecord


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

    def arguments(self, values: Mapping[str, Any], data: Any = None) -> dict[str, Any]:
        """Return the arguments of `Recipe.from_file` with the trial's values.

        Args:
            values: hyperparameter -> value, in place of the trial's.
            data: in place of the search's.
        """
        theirs = dict(self.trial.values)
        return {
            "path": self.file,
            "values": {**theirs, **values},
            "data": self.record.data if data is None else data,
            # Where one value is changed, others may be asked for no more.
            "optional": theirs.keys() - values.keys() if values else (),
        }


def located(
    trial: str | os.PathLike[str] | int,
    recipe: str | os.PathLike[str] | None,
    name: Callable[[], str],
) -> LocatedTrial:
    """Return the trial that a user names; see `Recipe.from_trial`.

    Args:
        trial: where it is.
        recipe: path of the recipe file, if the user gave one.
        name: returns the name of the runs of that recipe.

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
    search, record, found = find_trial(where, Path("saved_models", name()) if alone else Path("saved_models"))
    theirs = None if record.recipe is None else record.recipe.file
    file = theirs if recipe is None else recipe
    if file is None:
        raise RunError(f"The search {search} does not say which recipe it is of: give one.")
    return LocatedTrial(search=search, record=record, trial=found, file=Path(file))
