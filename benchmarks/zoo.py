"""What tfopt makes of models in the style of public collections: one row a model, one process a model.

Every model of `zoo_models` is built with random weights and tiny sizes, biases and scales too, and goes
through

- float32: `to_tflite(model)` and `verify`, beside `tf.lite.TFLiteConverter.from_keras_model`;
- training: `quantize_aware`, `calibrate`, a training step, `to_tflite`, `verify`, save and load;
- int8: `to_tflite(model, "int8", samples)` and `verify`;
- prune: `prune(model, 0.5)`, and the share of the kernels' weights that is really zero;
- channels: `prune_channels(model, 0.5)`, a training step, `to_tflite` and `verify`; what is left is held
  against the original with zeros for what is gone;
- low rank: the same of `low_rank` on kernels that are products already, whose factors compute the same;
- clusters: the same of `cluster(model, 16)` on kernels of nine values, which stay as they are.

A crash or a hang is a row. The models run one after another unless `--jobs` says otherwise.

    python benchmarks/zoo.py [--only PATTERN] [--jobs 2] [--json rows.json] [--markdown]

`--json` keeps the rows of earlier runs that `PATTERN` leaves out; `--markdown` writes docs/zoo.md from them.
With KerasHub installed, `--only hub:` adds tiny backbones of its own classes.
"""

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("float32", "save", "training", "int8", "prune", "channels", "low_rank", "clusters", "converter")
"""In this order, for TensorFlow's own converter may end the process."""

LIMIT_S = 420
"""Seconds for one model: the slowest need a quarter of it on two busy cores."""


def entries():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import zoo_models

    return zoo_models.models()


def rows_of(names, limit, asked=STAGES):
    """Yield the row of each model; they share a process, and a further one starts after one that ended."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    rows = {name: {"name": name, "seconds": 0} for name in names}
    left, stages = list(names), list(asked)
    while left:
        name = left[0]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers"
            path.touch()
            command = [sys.executable, str(ROOT / "benchmarks" / "zoo_stages.py")]
            command += left if stages == list(asked) else left[:1]
            command += ["--answers", str(path), "--stages", *stages]
            with open(Path(folder) / "stderr", "w+b") as stderr:
                process = subprocess.Popen(
                    command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr
                )
                read, begin, open_stage = 0, time.monotonic(), "build"
                while True:
                    ended = process.poll() is not None
                    answers = [json.loads(text) for text in path.read_text().splitlines(keepends=True)[read:]]
                    read += len(answers)
                    for answer in answers:
                        stage = answer.pop("stage")
                        if answer.pop("started", False):
                            open_stage = stage
                            continue
                        rows[name]["seconds"] = round(time.monotonic() - begin, 1)
                        if stage == "all":
                            yield rows[name]
                            left, begin, open_stage, stages = (
                                left[1:],
                                time.monotonic(),
                                "build",
                                list(asked),
                            )
                            name = left[0] if left else None
                        else:
                            rows[name][stage] = answer
                    if ended:
                        said = f"the process ended with {process.returncode}"
                        break
                    if time.monotonic() - begin > limit:
                        process.kill()
                        process.wait()
                        said = f"took longer than {limit:.0f} s"
                        break
                    time.sleep(0.2)
                if left and left[0] == name and not (ended and process.returncode == 0):
                    stderr.seek(0)
                    lines = stderr.read().decode(errors="replace").strip().splitlines()
                    error = f"{said}: {lines[-1] if lines else ''}"[:300]
                    rows[name][open_stage] = {"ok": False, "refused": False, "error": error}
                    rows[name]["seconds"] += round(time.monotonic() - begin, 1)
                    stages = [] if open_stage == "build" else stages[stages.index(open_stage) + 1 :]
                    if not stages:
                        yield rows[name]
                        left, stages = left[1:], list(asked)
                elif left and left[0] == name:
                    stages = list(asked)


def joined(before, row, asked):
    """Return a row with what an earlier one tells of the stages that were not asked for."""
    if not row.get("build", {}).get("ok"):
        return row
    return {stage: before[stage] for stage in STAGES if stage in before and stage not in asked} | row


def mark(row, stage):
    answer = row.get(stage)
    if answer is None:
        return "-"
    return "yes" if answer["ok"] else "refused" if answer.get("refused") else "NO"


def zeros(row):
    answer = row.get("prune", {})
    if not answer.get("ok"):
        return mark(row, "prune")
    return "no kernel" if answer["zeros"] is None else f"{answer['zeros']:.0%}"


def cells(row):
    """Return the columns of one row, in the order of `COLUMNS`."""
    training = row.get("training", {})
    reload = training.get("reload", "-")
    saves = row.get("save", {}).get("ok") and row["save"].get("reload") == "equal"
    lsb, db = training.get("max_lsb"), row.get("int8", {}).get("db")
    return [
        row["name"],
        mark(row, "float32"),
        mark(row, "converter"),
        mark(row, "training"),
        "-" if lsb is None else f"{lsb}",
        mark(row, "int8"),
        "-" if db is None else f"{db:.0f}",
        zeros(row),
        *(mark(row, stage) for stage in ("channels", "low_rank", "clusters")),
        "equal" if reload == "equal" else "-" if not saves or reload == "-" else "NO",
        f"{row['seconds']:.0f}",
    ]


COLUMNS = {
    "model": 34,
    "float32": 9,
    "TensorFlow": 11,
    "training": 9,
    "LSB": 6,
    "int8": 9,
    "dB": 5,
    "prune": 10,
    "channels": 9,
    "low rank": 9,
    "clusters": 9,
    "reload": 8,
    "seconds": 8,
}
"""The widths of the columns."""


def errors(row):
    """Return (stage, answer) of what went wrong with tfopt."""
    found = [
        (stage, row[stage]) for stage in ("build", *STAGES[:-1]) if not row.get(stage, {"ok": True})["ok"]
    ]
    return [(stage, answer) for stage, answer in found if stage != "save"]


def counts(rows):
    """Return {what: (how many, of how many)}."""

    def right(stage, of=rows):
        return sum(mark(row, stage) == "yes" for row in of), len(of)

    taken = [row for row in rows if mark(row, "converter") == "yes"]
    kernels = [row for row in rows if zeros(row) != "no kernel"]
    reloads = [row for row in rows if cells(row)[-2] != "-"]
    return {
        "verified float32 file": right("float32"),
        "the same, of the models that TensorFlow's converter converts": right("float32", taken),
        "verified file after quantization-aware training": right("training"),
        "verified int8 file without further training": right("int8"),
        "`prune(model, 0.5)` runs": right("prune"),
        "at least 45 % of all kernel weights are zero": (
            sum(bool(row.get("prune", {}).get("ok")) and row["prune"]["zeros"] >= 0.45 for row in kernels),
            len(kernels),
        ),
        "half of the channels: verified file": right("channels"),
        "low rank: the same outputs, verified file": right("low_rank"),
        "16 clusters: the same outputs, verified file": right("clusters"),
        "equal after saving and loading": (sum(cells(row)[-2] == "equal" for row in reloads), len(reloads)),
        "no errors except tfopt's own": (
            sum(all(answer["refused"] for _, answer in errors(row)) for row in rows),
            len(rows),
        ),
    }


def text(parts):
    return "".join(
        f"{part:<{width}}" if i == 0 else f"{part:>{width}}"
        for i, (part, width) in enumerate(zip(parts, COLUMNS.values(), strict=True))
    )


LEGEND = """\
- float32: the file of `to_tflite(model)` passes its verification. TensorFlow:
  `TFLiteConverter.from_keras_model` converts the model.
- training: `quantize_aware`, `calibrate`, a training step, `to_tflite` and `verify`. LSB: the largest
  difference between the file and the quantization-aware model, in steps of the output's integer scale.
- int8: the file of `to_tflite(model, "int8", samples)` passes its verification. dB: signal-to-noise ratio
  relative to the float model.
- prune: share of zeros in all kernels after `prune(model, 0.5)`; embeddings and depthwise kernels are not
  counted.
- channels: `prune_channels(model, 0.5)`, a training step and a verified file; where no normalization is over
  channels, what is left computes what the original with zeros in place of the rest does.
- low rank, clusters: `low_rank` and `cluster(model, 16)` of kernels that are products of vectors, and of nine
  values, so that the outputs are those of the original; a training step and a verified file.
- reload: the quantization-aware model is equal after saving and loading; `-` means that Keras cannot save
  and load the original.
- refused: an error of tfopt that says what to do; its text is at the end of the page. NO: any other
  failure.
""".splitlines()


def page(rows):
    """Return docs/zoo.md."""
    table = entries()
    lines = [
        "# The zoo",
        "",
        f"Results for {len(rows)} of {len(table)} models in the style of public collections. They have tiny",
        "sizes, random weights and the idioms of the originals (`benchmarks/zoo_models`).",
        "`python benchmarks/zoo.py --json rows.json --markdown` wrote the rows.",
        "",
        "| | models | of |",
        "|---|---|---|",
        *(f"| {what} | {many} | {of} |" for what, (many, of) in counts(rows).items()),
        "",
        *LEGEND,
    ]
    for source in dict.fromkeys(entry.source for entry in table.values()):
        own = [row for row in rows if row["name"] in table and table[row["name"]].source == source]
        if own:
            head = [*list(COLUMNS)[:-1], "s"]
            lines += ["", f"## {source}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
            lines += ["| " + " | ".join(cells(row)) + " |" for row in own]
    told = [
        f"- `{row['name']}`, {stage}: {answer['error'][:300]}"
        for row in rows
        for stage, answer in errors(row)
    ]
    if told:
        lines += ["", "## Failures", "", *(each.replace("|", "\\|") for each in told)]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", help="names to run: shell patterns with commas between")
    parser.add_argument("--failed", action="store_true", help="only those of --json that something failed in")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for one model")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--together", type=int, default=1, help="models a process, to save imports")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    arguments = parser.parse_args()
    table = entries()
    rows = {}
    if arguments.json and arguments.json.exists():
        rows = {row["name"]: row for row in json.loads(arguments.json.read_text())}
    names = [
        name
        for name in table
        if any(fnmatch.fnmatch(name, pattern) for pattern in arguments.only.split(","))
        and not (arguments.failed and name in rows and not errors(rows[name]))
    ]
    if arguments.list:
        print("\n".join(f"{name:<36}{table[name].source}" for name in names))
        return
    print(text(COLUMNS), flush=True)
    groups = [names[i : i + arguments.together] for i in range(0, len(names), arguments.together)]

    def show(group):
        for row in rows_of(group, arguments.limit, arguments.stages):
            rows[row["name"]] = joined(rows.get(row["name"], {}), row, arguments.stages)
            told = [f"    {stage}: {answer['error']}" for stage, answer in errors(row)]
            print("\n".join([text(cells(row)), *told]), flush=True)
            if arguments.json:
                ordered = [rows[name] for name in table if name in rows]
                arguments.json.write_text(json.dumps(ordered, indent=1))

    with ThreadPoolExecutor(arguments.jobs) as pool:
        [*pool.map(show, groups)]
    ordered = [rows[name] for name in table if name in rows]
    print()
    for what, (many, of) in counts(ordered).items():
        print(f"{what:<50}{many:>4} of {of:<4}{many / max(1, of):>6.0%}")
    if arguments.markdown:
        (ROOT / "docs" / "zoo.md").write_text(page(ordered))


if __name__ == "__main__":
    main()
