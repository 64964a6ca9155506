"""`tfopt run`: one run of a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from tfopt.cli.options import (
    RECIPE,
    common_options,
    data_option,
    is_worker,
    joined,
    resumable,
    strategy_option,
    values_option,
    worker_options,
)
from tfopt.cli.show import show_run

LOST_TOO_MUCH = 3
"""The exit code of a run that is complete and whose file is worse than the recipe's `max_drop` allows."""


@click.command(short_help="Run a recipe and show what came out.")
@click.argument("recipe", type=RECIPE)
@data_option
@values_option
@click.option(
    "--from-trial",
    metavar="SEARCH/N",
    help="Take the values, seed and data of a trial: the folder of a search and a number, or a number of the "
    "recipe's last search. --set changes some of the values.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Random seed.  [default: the recipe's]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of runs.  [default: saved_models/RECIPE]",
)
@click.option("--fresh", is_flag=True, help="Start a new run even if the same run exists.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
    help="What layers compute in.  [default: as the recipe's model]",
)
@click.option(
    "--checkpoint-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the state of a training every N steps too, to resume there.  [default: after each epoch]",
)
@strategy_option
@worker_options
@common_options
def run(
    recipe: Path,
    data: str | None,
    values: dict[str, str],
    from_trial: str | None,
    seed: int | None,
    out: Path | None,
    fresh: bool,
    precision: str | None,
    checkpoint_steps: int | None,
    strategy: str | None,
    hosts: str | None,
    worker: int | None,
    timeout: float | None,
) -> None:
    """Run RECIPE: train, optimize and export its model; show what came out.

    Run the same command again to resume an interrupted run from its last checkpoint, or to show a complete
    one. With --from-trial, the run is one of the search's: one that is there is shown, --fresh makes it anew.
    Exits with 3 if the file is worse than its max_drop allows.

    With --strategy multi_worker, run it once on every host, each with its --worker number. Worker 0 writes
    the run.
    """
    from tfopt.recipe.recipe import Recipe

    with resumable():
        taken = joined(strategy, hosts, worker, timeout)
        if from_trial is None:
            made = Recipe.from_file(recipe, values=values, data=data)
        else:
            trial = Recipe.locate(from_trial, recipe)
            made = Recipe.from_located(trial, values, data)
            out = trial.runs if out is None else out
        done = made.run(
            out,
            seed=seed,
            fresh=fresh,
            strategy=taken,
            precision=precision,  # type: ignore[arg-type]
            checkpoint_steps=checkpoint_steps,
        )
    if is_worker(taken):
        click.echo(f"The run {done.path} is complete on the chief.")
    else:
        show_run(done)
    if not done.passed:
        click.get_current_context().exit(LOST_TOO_MUCH)
