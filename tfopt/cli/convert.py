"""`tfopt convert`: a model of Keras 2 as a Keras 3 file."""

from __future__ import annotations

from pathlib import Path

import click

from tfopt.cli.options import common_options
from tfopt.report import formats


@click.command(short_help="Convert a Keras 2 model to Keras 3.")
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--trust", is_flag=True, help="Run Python code that OLD holds, such as Lambda layers.")
@common_options
def convert(old: Path, new: Path, trust: bool) -> None:
    """Convert OLD, an .h5 or .keras file or a SavedModel of Keras 2, to NEW, a .keras file of Keras 3."""
    if new.suffix != ".keras":
        raise click.BadParameter(f"expected a name that ends in .keras, got {new.name!r}.", param_hint="NEW")
    from tfopt.files import replacing
    from tfopt.legacy import from_legacy

    model = from_legacy(old, safe_mode=not trust)
    with replacing(new) as temporary:
        model.save(temporary)
    click.echo(
        f"{new}: {len(model.layers)} layers, {model.count_params():,} parameters, "
        f"{formats.size(new.stat().st_size)}"
    )
