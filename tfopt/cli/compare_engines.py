"""`tfopt compare-engines`: a recipe done by tfopt and by tensorflow-model-optimization."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from tfopt.cli.options import RECIPE, common_options, data_option, resumable, values_option
from tfopt.cli.show import print_rich, table
from tfopt.files import as_seen_from
from tfopt.report import formats
from tfopt.report.table import latency_ratio, metric_of
from tfopt.run.stage_record import StageRecord, VerificationRecord

if TYPE_CHECKING:
    from tfopt.recipe.compare_engines import EngineResult


@click.command("compare-engines", short_help="Run a recipe with each engine, side by side.")
@click.argument("recipe", type=RECIPE)
@data_option
@values_option
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of both runs.  [default: saved_models/RECIPE-engines]",
)
@common_options
def compare_engines(recipe: Path, data: str | None, values: dict[str, str], out: Path | None) -> None:
    """Run RECIPE once with tfopt's own stages and once with tensorflow-model-optimization's.

    Model, data, schedule and seeds are the same. What an engine refuses is shown in its own words.
    """
    from tfopt.recipe.compare_engines import compare_engines as compare
    from tfopt.recipe.recipe import Recipe

    start = Path.cwd()
    with resumable():
        read = Recipe.from_file(recipe, values=values, data=data)
        folder = as_seen_from(start, out or Path("saved_models", f"{recipe.stem}-engines"))
        found = compare(read, folder)
    print_rich(comparison_table(found))
    for each in found:
        if each.refusal:
            click.echo(f"{each.engine}: {' '.join(each.refusal.split())}")
    click.echo("Step: time of a training step, as a ratio to the plain Keras 3 model's in the same process.")


def comparison_table(results: Sequence[EngineResult]) -> Table:
    """Return a table with a row for each stage of each engine."""
    names = [name for each in results if each.run for name in each.run.typed.stages[-1].metrics or {}]
    metric = next((name for name in names if name != "loss"), "loss")
    rows = table(
        "Engine",
        "Model",
        f"{metric} >",
        "Zeros >",
        "Size >",
        "gzip >",
        "Latency >",
        "Step >",
        "LSB >",
        "Same class >",
    )
    for each in results:
        if each.run is None:
            rows.add_row(each.engine, "refused", *[formats.MISSING] * 8)
            continue
        steps = {_stage_name(name): ratio for name, ratio in each.step_ratio.items()}
        for stage in each.run.typed.stages:
            rows.add_row(each.engine, *_cells(stage, metric, steps))
    return rows


def _cells(stage: StageRecord, metric: str, steps: dict[str, float]) -> list[str]:
    verification = stage.verification or VerificationRecord()
    lsb = verification.mean_lsb
    return [
        stage.title,
        formats.metric(metric_of(stage, metric), metric),
        formats.percent(stage.sparsity, 1),
        formats.size(stage.bytes),
        formats.size(stage.compressed_bytes),
        formats.ratio(latency_ratio(stage)),
        formats.ratio(steps.get(stage.title)),
        formats.MISSING if lsb is None else f"{lsb:.3f}",
        formats.percent(verification.top1_agreement),
    ]


def _stage_name(stage: str) -> str:
    """Return the name of the model of a stage in the report."""
    import tfopt

    return getattr(tfopt, stage).title
