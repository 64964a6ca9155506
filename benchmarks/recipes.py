"""Every recipe, run as its docstring says, and the table of recipes/README.md.

Runs are kept in saved_models/ and resume; what was measured is kept in recipes/results.json, so that a row of
another machine stays until it is measured again. A recipe whose data is not at hand is "not measured", or
what was measured before. A run that fails its `max_drop` is a row like any other.

    python benchmarks/recipes.py                                     those that have data of their own
    python benchmarks/recipes.py resnet8_cifar10=cifar10.npz mnist=mnist.npz        these, on this data
    python benchmarks/recipes.py digits --seeds 0 1 2
    python benchmarks/recipes.py resnet8_cifar10=cifar10.npz --set epochs=10        where time is short
    python benchmarks/recipes.py --table                             the table alone, of what was measured
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfopt.report import formats
from tfopt.report.table import latency_ratio, main_metric, metric_of
from tfopt.run.run_folder import read_record

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
RESULTS, PAGE = RECIPES / "results.json", RECIPES / "README.md"
BEGIN, END = "<!-- made by benchmarks/recipes.py -->\n", "<!-- end -->\n"

OWN_DATA = (
    "digits", "structure_digits", "tabular_mlp", "sensor_lstm", "text_transformer", "segmentation_unet",
    "detection_head",
)  # fmt: skip
"""Recipes whose data ships or is made: they run without `--data` and without a network."""

LOST_TOO_MUCH = 3
"""The exit code of `tfopt run` where the file is worse than the recipe allows."""

HEADINGS = (
    "recipe", "data", "metric", "float", "compressed", "bytes", "gzip", "MACs", "latency", "seconds", "seeds",
)  # fmt: skip


def names() -> list[str]:
    """Return the recipes, in alphabetical order."""
    return sorted(path.stem for path in RECIPES.glob("*.py") if "\ndef build(" in path.read_text())


def measured(name: str, data: str | None, seed: int, values: Sequence[str] = ()) -> dict[str, Any]:
    """Run a recipe with one seed, and `values` of its hyperparameters, and return its row."""
    out = ROOT / "saved_models" / "bench-recipes" / name / f"seed-{seed}"
    command = [
        sys.executable,
        "-m",
        "tfopt",
        "run",
        f"recipes/{name}.py",
        "--seed",
        str(seed),
        "--out",
        str(out),
    ]
    command += [] if data is None else ["--data", data]
    settings = [word for value in values for word in ("--set", value)]
    command += settings
    print(" ".join(command[2:]), flush=True)
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code not in (0, LOST_TOO_MUCH):
        raise SystemExit(f"{name} failed with exit code {code}.")
    record = read_record(max(out.glob("*/run.json"), key=lambda path: path.stat().st_mtime).parent)
    first, last = record.compared[0], record.compared[-1]
    metric = main_metric(record)
    others = {
        key: [stage.metrics[key] for stage in (first, last)]
        for key in last.metrics or {}
        if key != metric and not key.endswith("loss")
    }
    machine = record.environment
    return {
        "recipe": name,
        "data": "its own" if data is None else Path(data).name,
        "samples": [record.data.train, record.data.validation, record.data.test],
        "seed": seed,
        "metric": metric,
        "values": [metric_of(first, metric), metric_of(last, metric)],
        "others": others,
        "passed": code == 0,
        "stages": [stage.name for stage in record.measured],
        "bytes": [first.bytes, last.bytes],
        "gzip": [first.compressed_bytes, last.compressed_bytes],
        "macs": [first.macs, last.macs],
        "latency": latency_ratio(last),
        "seconds": record.seconds,
        "command": " ".join(
            [
                f"tfopt run recipes/{name}.py",
                *([] if data is None else [f"--data {Path(data).name}"]),
                *settings,
            ]
        ),
        "machine": f"{machine.cpu}, {machine.cores} cores; tfopt {machine.tfopt}",
        "date": (record.finished or "")[:10],
    }


def kept(rows: list[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows with a new one in the place of the one of the same recipe, data and seed."""
    key = ("recipe", "data", "seed")
    others = [row for row in rows if any(row[name] != new[name] for name in key)]
    return sorted([*others, new], key=lambda row: [str(row[name]) for name in key])


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table as Markdown, a row a recipe and data, and what stands below it."""
    lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS))]
    for name in names():
        mine = [row for row in rows if row["recipe"] == name]
        for data in dict.fromkeys(row["data"] for row in mine):
            lines += _rows([row for row in mine if row["data"] == data])
        if not mine:
            lines.append(_line([_link(name), _task(name), *["not measured"], *[""] * (len(HEADINGS) - 3)]))
    machines = {row["machine"] for row in rows}
    commands = dict.fromkeys(row["command"] for row in rows)
    missed = [f"{row['recipe']} (seed {row['seed']})" for row in rows if not row["passed"]]
    notes = [
        "",
        "float is the first stage of the run, compressed the file, both on the test split; gzip is of the "
        "compressed file, latency that of the file by that of the float file, in LiteRT on one thread. "
        f"Measured on {'; '.join(sorted(machines)) or 'no machine'}, by:",
        "",
        *(f"    {command}" for command in commands),
        "",
    ]
    if missed:
        notes += [f"Worse than their `max_drop` allows: {', '.join(missed)}.", ""]
    return "\n".join([*lines, *notes])


def _rows(rows: list[dict[str, Any]]) -> Iterable[str]:
    """Yield the line of a recipe's main metric, then one for each other metric."""
    row = rows[0]
    cost = [
        f"{formats.size(row['bytes'][0])} to {_span(formats.size(each['bytes'][1]) for each in rows)}",
        _span(formats.size(each["gzip"][1]) for each in rows),
        _change(formats.count(row["macs"][0]), _span(formats.count(each["macs"][1]) for each in rows)),
        _span(formats.ratio(each["latency"]) for each in rows),
        _span(f"{each['seconds']:.0f}" for each in rows),
        ", ".join(str(each["seed"]) for each in rows),
    ]
    data = f"{row['data']}, {' / '.join(f'{count:,}' for count in row['samples'])}"
    yield _line([_link(row["recipe"]), data, row["metric"], *_values(row["metric"], rows, "values"), *cost])
    for metric in row["others"]:
        values = [each | {"values": each["others"][metric]} for each in rows]
        yield _line(["", "", metric, *_values(metric, values, "values"), *[""] * len(cost)])


def _values(metric: str, rows: list[dict[str, Any]], key: str) -> list[str]:
    return [", ".join(formats.metric(row[key][place], metric) for row in rows) for place in (0, 1)]


def _span(values: Iterable[str]) -> str:
    found = list(dict.fromkeys(values))
    return ", ".join(found)


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} to {after}"


def _task(name: str) -> str:
    """Return what a recipe's docstring begins with."""
    text = ast.get_docstring(ast.parse((RECIPES / f"{name}.py").read_text())) or ""
    return text.partition(":")[0]


def _link(name: str) -> str:
    return f"[{name}]({name}.py)"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(rows: list[dict[str, Any]]) -> None:
    """Write the table into the page, in the place of the one that is there."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")


def main() -> None:
    """Run what was asked for, and write the table after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", metavar="NAME[=DATA]", help=f"by default {', '.join(OWN_DATA)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--table", action="store_true", help="run nothing")
    asked = parser.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for each in () if asked.table else asked.recipes or OWN_DATA:
        name, _, data = each.partition("=")
        if name not in names():
            parser.error(f"no recipe {name!r}; there are {', '.join(names())}.")
        for seed in asked.seeds:
            rows = kept(rows, measured(name, data or None, seed, asked.values))
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
            write(rows)
    write(rows)


if __name__ == "__main__":
    main()
