"""Which search a command means: what tells it from others, and the command that goes on with it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfopt.errors import RecipeError, RunError
from tfopt.recipe.file import source_of
from tfopt.run.search_folder import read, searches_in
from tfopt.search.goals.analysis import goal_of
from tfopt.search.goals.goal import Goal
from tfopt.search.goals.objectives import MIN
from tfopt.search.spending import Spending

_FORMAT = 2
"""Of what samplers are told. A search of another format is begun anew, with the runs that it made."""


_SAME = ("recipe", "sampler", "seed", "early_stopping")
"""What the record of a search says of how it was begun, beside its goal and the recipe's source."""


def digest_of(recipe: Path) -> str:
    """Return a digest of a recipe's source.

    Raises:
        RecipeError: it cannot be read.
    """
    return hashlib.sha256(source_of(recipe).encode()).hexdigest()


def identity(
    digest: str,
    goal: Goal,
    seed: int,
    data: str | Path | None,
    sampler: str,
    early_stopping: str | None = None,
    earlier: Sequence[str | Path] = (),
) -> str:
    """Return what tells a search from others over the same recipe, as 8 hex digits.

    Args:
        digest: of the recipe.
        goal, seed, data, sampler, early_stopping: of the search.
        earlier: the folders of the searches that its sampler knows.
    """
    where = None if data is None else str(Path(data).resolve())
    wanted = [list(goal.directions.items()), dict(goal.keep), goal.limits.to_dict()]
    parts = [_FORMAT, digest, wanted, seed, where, sampler]
    parts += [] if early_stopping is None else [early_stopping]
    parts += [str(Path(folder).resolve()) for folder in earlier]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def check_unchanged(folder: Path, name: str, about: Mapping[str, Any], goal: Goal) -> None:
    """Raise where an unfinished search would be begun anew because its recipe was changed meanwhile.

    Args:
        folder: of searches.
        name: of the folder of the search that is to be run.
        about: what its record will say.
        goal: of it.

    Raises:
        RecipeError: it would.
    """
    if (folder / name).exists():
        return
    for other in searches_in(folder):
        try:
            record = read(other)
        except RunError:  # which is no search of this recipe
            continue
        same = all(getattr(record, key) == about.get(key) for key in _SAME)
        unfinished = record.status in ("interrupted", "running")
        if not (same and unfinished and record.recipe_digest and goal_of(record) == goal):
            continue
        if record.recipe_digest != about["recipe_digest"]:
            raise RecipeError(
                f"{record.recipe.file if record.recipe else 'The recipe'} changed since the search {other} "
                f"began, which has {len(record.trials)} trials and is not finished: restore it to go on, or "
                "delete that folder to begin anew; runs that are complete are not repeated."
            )


def command(
    recipe: Path,
    goal: Goal,
    spending: Spending,
    options: Mapping[str, Any],
    earlier: Sequence[str | Path] = (),
) -> str:
    """Return the command line of a search.

    Args:
        recipe: its file.
        goal: of the search.
        spending: its budgets.
        options: name of another option -> its value; `None` leaves it out.
        earlier: the folders of the searches that its sampler knows.
    """
    words = ["tfopt", "search", str(recipe)]
    budgets = {"trials": spending.trials, "hours": spending.hours, "epochs-total": spending.epochs}
    words += _options(budgets)
    for name, way in goal.directions.items():
        words += ["--minimize" if way == MIN else "--maximize", name]
    for name, change in goal.keep.items():
        words += ["--keep", f"{name}={change}"]
    for name, limit in goal.limits.to_dict().items():
        words += ["--max", f"{name}={limit}"]
    words += _options(options)
    for folder in earlier:
        words += ["--warm-start", str(folder)]
    return shlex.join(words)


def _options(values: Mapping[str, Any]) -> list[str]:
    return [
        word
        for name, value in values.items()
        if value is not None
        for word in (f"--{name}", f"{value:g}" if isinstance(value, float) else str(value))
    ]
