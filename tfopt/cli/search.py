"""`tfopt search`: many runs of a recipe, and the best of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tfopt.cli.options import (
    RECIPE,
    NameValue,
    common_options,
    data_option,
    named_numbers,
    resumable,
    strategy_option,
)
from tfopt.cli.show import show_search
from tfopt.search.early_stopping.judge import METHODS
from tfopt.search.samplers import DEFAULT, SAMPLERS


@click.command(short_help="Search over a recipe's hyperparameters.")
@click.argument("recipe", type=RECIPE)
@click.option(
    "--trials", type=click.IntRange(min=1), default=20, show_default=True, help="Number of trials in all."
)
@click.option(
    "--minimize",
    type=click.Choice(["bytes", "compressed_bytes", "latency"]),
    multiple=True,
    help="Metric to minimise; can be repeated.",
)
@click.option(
    "--maximize",
    type=click.Choice(["accuracy"]),
    multiple=True,
    help="Metric to maximise.  [default: accuracy]",
)
@click.option(
    "--keep",
    type=NameValue(),
    multiple=True,
    callback=named_numbers,
    metavar="accuracy=CHANGE",
    help="Largest drop against the float model, such as accuracy=-0.01.",
)
@click.option(
    "--sampler",
    type=click.Choice(SAMPLERS),
    default=DEFAULT,
    show_default=True,
    help="What proposes the trials.",
)
@click.option(
    "--early-stopping",
    type=click.Choice(METHODS),
    help="Stop trials early whose first epochs are worse than those of others.",
)
@click.option(
    "--warm-start",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="SEARCH",
    help="Folder of an earlier search from whose trials the sampler learns; can be repeated.",
)
@click.option("--retry-failed", is_flag=True, help="Run trials that failed before again.")
@data_option
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of searches.  [default: saved_models/RECIPE]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@strategy_option
@common_options
def search(
    recipe: Path,
    trials: int,
    minimize: tuple[str, ...],
    maximize: tuple[str, ...],
    keep: dict[str, float],
    sampler: str,
    early_stopping: str | None,
    warm_start: tuple[Path, ...],
    retry_failed: bool,
    data: str | None,
    out: Path | None,
    seed: int,
    strategy: str | None,
) -> None:
    """Search over the hyperparameters of RECIPE; every trial is a run, judged by its exported file.

    The metrics are those of the validation split. Run the same command again to resume; a larger --trials
    adds trials.
    """
    from tfopt.search import search as search_recipe

    with resumable():
        result = search_recipe(
            recipe,
            trials=trials,
            minimize=minimize,
            maximize=maximize,
            keep=keep,
            sampler=sampler,
            early_stopping=early_stopping,
            warm_start=warm_start,
            retry_failed=retry_failed,
            data=data,
            out=out,
            seed=seed,
            strategy=strategy,
            on_trial=_tell,
        )
    show_search(result.path, result.typed)
    if result.typed.best is None:
        sys.exit(1)


def _tell(entry: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Print how a trial ended, in one line."""
    from tfopt.report.trials import outcome
    from tfopt.run.search_record import SearchRecord, TrialRecord

    trial, requested = TrialRecord.from_json(entry), SearchRecord.from_json(record).requested_trials
    click.echo(f"trial {trial.number} of {requested}: {outcome(trial)}")
