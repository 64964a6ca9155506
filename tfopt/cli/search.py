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
    named_values,
    resumable,
    strategy_option,
)
from tfopt.cli.show import show_search
from tfopt.search.early_stopping.judge import METHODS
from tfopt.search.executors.engines import ENGINES, LOCAL
from tfopt.search.samplers import DEFAULT, SAMPLERS


@click.command(short_help="Search over a recipe's hyperparameters.")
@click.argument("recipe", type=RECIPE)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    help="Number of trials in all.  [default: 20, or any number with --hours or --epochs-total]",
)
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    help="How long to search, over all parts of a search.",
)
@click.option("--epochs-total", type=click.IntRange(min=1), help="Epochs of training of all trials together.")
@click.option(
    "--minimize",
    metavar="METRIC",
    multiple=True,
    help="Metric to minimise: bytes, latency, macs, loss or another; can be repeated.",
)
@click.option(
    "--maximize",
    metavar="METRIC",
    multiple=True,
    help="Metric to maximise; can be repeated.  [default: accuracy]",
)
@click.option(
    "--keep",
    type=NameValue(),
    multiple=True,
    callback=named_numbers,
    metavar="METRIC=CHANGE",
    help="How far a metric may change against the float model, such as accuracy=-0.01.",
)
@click.option(
    "--max",
    "limits",
    type=NameValue(),
    multiple=True,
    callback=named_values,
    metavar="COST=LIMIT",
    help="The most that a trial may cost, such as bytes=100k, macs=0.5 or latency=1.5ms; can be repeated.",
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
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Trials that run at once.  [default: 1; with Ray, what the cluster has room for]",
)
@click.option(
    "--engine", type=click.Choice(ENGINES), default=LOCAL, show_default=True, help="Where trials run."
)
@click.option("--address", metavar="ADDRESS", help="Ray cluster: auto or ray://HOST:PORT.")
@click.option(
    "--resources",
    type=NameValue(),
    multiple=True,
    callback=named_numbers,
    metavar="NAME=AMOUNT",
    help="What a trial needs of a Ray cluster, such as GPU=1; can be repeated.",
)
@common_options
def search(
    recipe: Path,
    trials: int | None,
    hours: float | None,
    epochs_total: int | None,
    minimize: tuple[str, ...],
    maximize: tuple[str, ...],
    keep: dict[str, float],
    limits: dict[str, str],
    sampler: str,
    early_stopping: str | None,
    warm_start: tuple[Path, ...],
    retry_failed: bool,
    data: str | None,
    out: Path | None,
    seed: int,
    strategy: str | None,
    workers: int | None,
    engine: str,
    address: str | None,
    resources: dict[str, float],
) -> None:
    """Search over the hyperparameters of RECIPE; every trial is a run, judged by its exported file.

    The metrics are those of the validation split. Run the same command again to resume, or at the same
    time to help, also on another machine that sees the folder; a larger --trials adds trials.
    """
    from tfopt.search import search as search_recipe

    with resumable():
        result = search_recipe(
            recipe,
            trials=trials,
            hours=hours,
            epochs_total=epochs_total,
            minimize=minimize,
            maximize=maximize,
            keep=keep,
            max=limits,
            sampler=sampler,
            early_stopping=early_stopping,
            warm_start=warm_start,
            retry_failed=retry_failed,
            data=data,
            out=out,
            seed=seed,
            strategy=strategy,
            workers=workers,
            engine=engine,
            address=address,
            resources=resources,
            on_trial=_tell,
        )
    show_search(result.path, result.typed)
    if result.typed.best is None:
        sys.exit(1)


def _tell(entry: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Print how a trial ended and how far the search is, in one line."""
    from tfopt.report.progress import trial_line
    from tfopt.run.search_record import SearchRecord, TrialRecord

    click.echo(trial_line(TrialRecord.from_json(entry), SearchRecord.from_json(record)))
