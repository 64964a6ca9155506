"""`tfopt inspect`, `compare` and `bench`: content, outputs and latency of .tflite files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from tfopt.cli.options import READABLE_FILE, common_options
from tfopt.cli.show import print_rich, table
from tfopt.report import formats

if TYPE_CHECKING:
    from tfopt.export import FileSummary
    from tfopt.export.runtime.compare import FileComparison


@click.command(short_help="Show what a .tflite file holds.")
@click.argument("model", type=READABLE_FILE)
@common_options
def inspect(model: Path) -> None:
    """Show what the file MODEL holds: inputs, outputs, operators, weights and their zeros.

    Of each weight tensor: its bytes, those in TFLite's sparse encoding, those at its Shannon bound, and how
    many different values it has.
    """
    from tfopt.export import TFLiteModel

    summary = TFLiteModel(model).summary()
    sizes = f"{formats.size(summary.bytes)}, gzip {formats.size(summary.compressed_bytes)}"
    click.echo(
        f"{model}: {summary.scheme}, {sizes}, {formats.percent(summary.sparsity, 1)} of the weights are zero"
    )
    click.echo(
        f"sparse-encoded it has {formats.size(summary.sparse_bytes)}, with weights at their Shannon bound "
        f"{formats.size(summary.entropy_bytes)}"
    )
    for rows in (_inputs_and_outputs(summary), _operators(summary), _weights(summary)):
        click.echo()
        print_rich(rows)
    if summary.integer:
        floats = [f"{each.operator} of {each.layer}" for each in summary.float_operators]
        click.echo(f"\nIn float: {', '.join(floats) or 'none'}")


@click.command(short_help="Compare two .tflite files.")
@click.argument("first", type=READABLE_FILE)
@click.argument("second", type=READABLE_FILE)
@common_options
def compare(first: Path, second: Path) -> None:
    """Compare two files: size, operators, outputs and latency."""
    from tfopt.export import compare_files

    found = compare_files(first, second)
    one, two = found.first, found.second
    print_rich(_measures(found, str(first), str(second)))
    click.echo()
    rows = table("Operator", "First >", "Second >", "Types")
    counts = [{each.name: each for each in summary.operators} for summary in (one, two)]
    for name in sorted({*counts[0], *counts[1]}):
        each = [operators.get(name) for operators in counts]
        types = " / ".join(", ".join(operator.types) for operator in each if operator)
        rows.add_row(
            name, *(str(operator.count) if operator else formats.MISSING for operator in each), types
        )
    print_rich(rows)
    click.echo()
    if not found.outputs:
        click.echo("They have different inputs or outputs, so their outputs were not compared.")
        return
    rows = table("Output", "Same class >", "Max difference >", "Max LSB >", "SNR >")
    for output in found.outputs:
        rows.add_row(
            output.name,
            formats.percent(output.top1_agreement),
            f"{output.max_error:.3g}",
            formats.MISSING if output.max_lsb is None else str(output.max_lsb),
            f"{output.snr_db:.1f} dB",
        )
    print_rich(rows)
    click.echo(f"On {found.samples} {'random inputs, not real data' if found.random else 'samples'}.")


@click.command(short_help="Measure the latency of .tflite files.")
@click.argument("models", type=READABLE_FILE, nargs=-1, required=True)
@common_options
def bench(models: tuple[Path, ...]) -> None:
    """Measure the latency of MODELS in LiteRT, by turns on one thread, as ratios to the first."""
    from tfopt.export import TFLiteModel
    from tfopt.measure.latency import latency

    files = {str(model): TFLiteModel(model) for model in models}
    for file in files.values():
        file.require_runnable()
    measured = latency({name: bytes(file) for name, file in files.items()})
    rows = table("File", "Median >", "10 % >", "90 % >", "Ratio >", "Size >")
    for name, one in measured.items():
        times = (one.median_seconds, one.low_seconds, one.high_seconds)
        size = formats.size(Path(name).stat().st_size)
        rows.add_row(name, *map(formats.seconds, times), formats.ratio(one.ratio), size)
    print_rich(rows)
    click.echo("CPU time of one call on one thread; a ratio above 1 is slower than the first file.")


def _measures(found: FileComparison, first: str, second: str) -> Table:
    rows = table("", f"{first} >", f"{second} >", "Ratio >")
    one, two = found.first, found.second
    rows.add_row("Scheme", one.scheme, two.scheme, "")
    for name, show, before, after, ratio in (
        ("Size", formats.size, one.bytes, two.bytes, found.bytes_ratio),
        ("gzip", formats.size, one.compressed_bytes, two.compressed_bytes, found.compressed_ratio),
        (
            "Latency",
            formats.seconds,
            found.first_latency.median_seconds,
            found.second_latency.median_seconds,
            found.latency_ratio,
        ),
    ):
        rows.add_row(name, show(before), show(after), formats.ratio(ratio))
    rows.add_row("Zero weights", formats.percent(one.sparsity, 1), formats.percent(two.sparsity, 1), "")
    return rows


def _inputs_and_outputs(summary: FileSummary) -> Table:
    rows = table("", "Name", "Type", "Shape", "Scale >", "Zero point >")
    for what, specs in (("input", summary.inputs), ("output", summary.outputs)):
        for spec in specs:
            scale = formats.MISSING if spec.scale is None else f"{spec.scale:.6g}"
            zero = formats.MISSING if spec.zero_point is None else str(spec.zero_point)
            rows.add_row(what, spec.name, spec.dtype, _shape(spec.shape), scale, zero)
    return rows


def _operators(summary: FileSummary) -> Table:
    rows = table("Operator", "Count >", "Types")
    for operator in summary.operators:
        rows.add_row(operator.name, str(operator.count), ", ".join(operator.types))
    return rows


_OF_WEIGHTS = ("Scales", "Bytes", "Sparse", "Entropy", "Values", "Zeros")


def _weights(summary: FileSummary) -> Table:
    rows = table("Weights of", "Shape", "Type", *(f"{each} >" for each in _OF_WEIGHTS))
    for weight in summary.weights:
        rows.add_row(
            weight.layer,
            _shape(weight.shape),
            weight.dtype,
            str(weight.scales or formats.MISSING),
            f"{weight.bytes} sparse" if weight.sparse else str(weight.bytes),
            str(weight.sparse_bytes),
            str(weight.entropy_bytes),
            str(weight.clusters),
            formats.percent(weight.sparsity, 1),
        )
    return rows


def _shape(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
