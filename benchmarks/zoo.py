"""What tfopt makes of models in the style of public collections: one row a model, one process a model.

Every model of `zoo_models` is built with random weights and tiny sizes, biases and scales too, and goes
through

- float32: `to_tflite(model)` and `verify`, beside `tf.lite.TFLiteConverter.from_keras_model`;
- training: `quantize_aware`, `calibrate`, a training step, `to_tflite`, `verify`, save and load;
- int8: `to_tflite(model, "int8", samples)` and `verify`;
- prune: `prune(model, 0.5)`, and the share of the kernels' weights that is really zero.

A crash or a hang is a row. The models run one after another unless `--jobs` says otherwise.

    python benchmarks/zoo.py [--only PATTERN] [--jobs 2] [--json rows.json] [--markdown]

`--json` keeps the rows of earlier runs that `PATTERN` leaves out; `--markdown` writes docs/zoo.md from them.
With KerasHub installed, `--only hub:` adds tiny backbones of its own classes.
"""

import argparse
import contextlib
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("float32", "save", "training", "int8", "prune", "converter")
"""In this order, for TensorFlow's own converter may end the process."""

LIMIT_S = 420
"""Seconds for one model: the slowest need a quarter of it on two busy cores."""

NO_KERNEL = re.compile(
    "bias|gamma|beta|embedding|position|token|latent|codebook|mean|variance|seed|scale|temperature|table|depthwise"
)
"""Names of variables of two axes or more that multiply nothing, or that only rules prune."""


# In the process of one model -----------------------------------------------------------------------------


def run_stages(name, path, stages):
    """Run the stages for one model and append to `path` a line of JSON each, the last of stage `all`."""
    import keras
    import numpy as np

    entry = entries()[name]
    keras.utils.set_random_seed(0)

    def answer(**row):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row, default=float) + "\n")

    try:
        model, x = entry.build()
        move_off_initial_values(model, x)
        before = outputs(model, x)
        repeats = all(np.array_equal(a, b) for a, b in zip(before, outputs(model, x), strict=True))
    except Exception as error:  # noqa: BLE001 (whatever it raises is the row)
        answer(stage="build", ok=False, **told(error))
        answer(stage="all")
        return
    answer(
        stage="build",
        ok=True,
        parameters=model.count_params(),
        finite=all(bool(np.isfinite(each).all()) for each in before),
        repeats=repeats,
        kind=kind(model),
    )
    for stage in stages:
        answer(stage=stage, started=True)
        begin = time.perf_counter()
        try:
            row = {"ok": True, **globals()[f"stage_{stage}"](model, x, entry)}
        except Exception as error:  # noqa: BLE001 (whatever it raises is the row)
            row = {"ok": False, **told(error)}
        if repeats and not all(map(np.array_equal, before, outputs(model, x))):
            row = {**row, "ok": False, "error": "the original model was changed", "refused": False}
        answer(stage=stage, seconds=round(time.perf_counter() - begin, 1), **row)
    answer(stage="all")


def move_off_initial_values(model, x):
    """Move biases and scales, which are all 0 or all 1 before training, as a little training would."""
    import numpy as np

    outputs(model, x)  # builds what is not built
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        values = variable.numpy()
        if variable.dtype.startswith("float") and values.size and np.ptp(values) == 0:
            variable.assign(values + rng.normal(scale=0.05, size=values.shape).astype(variable.dtype))


def stage_float32(model, x, entry):
    import tfopt

    file = tfopt.to_tflite(model, input_shapes=shapes_of(model, x))
    return verified(file, file.verify(model, x, classification=entry.classification))


def stage_save(model, x, entry):
    """Whether Keras itself can save the original; nothing of tfopt."""
    del entry
    return reloaded(model, x)


def stage_training(model, x, entry):
    import keras

    import tfopt

    start = time.perf_counter()
    quantized = tfopt.quantize_aware(model, input_shapes=shapes_of(model, x))
    tfopt.quantization.calibrate(quantized, x, batch_size=8)
    near = signal_to_noise(outputs(model, x), outputs(quantized, x))
    first = keras.tree.map_structure(lambda array: array[:16], x)
    targets = quantized.predict(first, verbose=0)
    quantized.compile(keras.optimizers.SGD(1e-4), keras.tree.map_structure(loss_of, targets))
    history = quantized.fit(first, targets, batch_size=16, verbose=0).history
    trained = time.perf_counter()
    if not abs(history["loss"][0]) < float("inf"):
        raise ArithmeticError(f"the loss of the first training step is {history['loss'][0]}")
    row = {"float_db": near, "train_s": round(trained - start, 1), "reload": "equal"}
    try:
        row["reload"] = reloaded(quantized, x)["reload"]
    except Exception as error:  # noqa: BLE001 (a column of its own)
        row["reload"] = f"{type(error).__name__}: {line(error)}"
    trained = time.perf_counter()
    file = tfopt.to_tflite(quantized)
    row["export_s"] = round(time.perf_counter() - trained, 1)
    return {**row, **verified(file, file.verify(quantized, x, classification=entry.classification))}


def stage_int8(model, x, entry):
    """By signal to noise alone: between classes of random weights the choice is a near tie."""
    del entry
    import tfopt

    file = tfopt.to_tflite(model, "int8", x)
    return verified(file, file.verify(model, x, classification=False))


def stage_prune(model, x, entry):
    del entry
    import tfopt

    pruned = tfopt.prune(model, 0.5)
    outputs(pruned, x)
    kernels = kernels_of(pruned)
    zeros = sum(int((each.numpy() == 0).sum()) for each in kernels)
    weights = sum(int(each.numpy().size) for each in kernels)
    full = [each.path for each in kernels if (each.numpy() == 0).mean() < 0.4]
    return {"zeros": round(zeros / weights, 3) if weights else None, "not_pruned": full}


def stage_converter(model, x, entry):
    del x, entry
    import tensorflow as tf

    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return {"bytes": len(content)}


def shapes_of(model, x):
    """Return the shapes of the samples where a model leaves sizes open, as its errors advise."""
    import keras

    if not hasattr(model, "inputs") or not any(None in tensor.shape[1:] for tensor in model.inputs or ()):
        return None
    arrays = keras.tree.flatten(x)
    shapes = {tensor.name: array.shape[1:] for tensor, array in zip(model.inputs, arrays, strict=True)}
    return shapes if len(shapes) > 1 else next(iter(shapes.values()))


def outputs(model, x):
    import keras
    import numpy as np

    return [np.asarray(each) for each in keras.tree.flatten(model.predict(x, batch_size=8, verbose=0))]


def kind(model):
    import keras

    if isinstance(model, keras.Sequential):
        return "Sequential"
    functional = keras.src.models.functional.Functional
    if not isinstance(model, functional):
        return "subclassed"
    return "functional" if type(model) is functional else "functional, own class"


def verified(file, verification):
    """Return the figures of a verification, and its failures as an error."""
    summary = file.summary()
    row = {
        "max_lsb": verification.max_lsb,
        "db": round(verification.snr_db, 1),
        "float_operators": dict(Counter(each.operator for each in summary.float_operators)),
        "ok": verification.passed,
    }
    if not verification.passed:
        row |= {"error": f"verify: {verification.failures[0]}", "refused": False}
    return row


def reloaded(model, x):
    import keras
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path, custom_objects=custom_objects(), safe_mode=False)
    differences = [
        float(np.abs(a.astype("float64") - b).max())
        for a, b in zip(outputs(model, x), outputs(loaded, x), strict=True)
    ]
    return {"reload": "equal" if max(differences) == 0 else f"{max(differences):.2g} apart"}


def custom_objects():
    """Return the classes and functions of the zoo by name, as one passes them to `load_model`."""
    found = {}
    for name, module in [*sys.modules.items()]:
        if name.startswith("zoo_models."):
            found |= {key: value for key, value in vars(module).items() if callable(value)}
    return found


def loss_of(target):
    import keras

    return "mse" if target.dtype.kind == "f" else lambda _, y_pred: 0.0 * keras.ops.cast(y_pred, "float32")


def signal_to_noise(expected, actual):
    import numpy as np

    from tfopt.export.runtime.verify import snr_db

    floats = [(a, b) for a, b in zip(expected, actual, strict=True) if a.dtype.kind == "f"]
    if not floats or not all(np.isfinite(a).all() for a, _ in floats):
        return None
    return round(
        min(
            snr_db(float(np.mean(a.astype("float64") ** 2)), float(np.mean((a.astype("float64") - b) ** 2)))
            for a, b in floats
        ),
        1,
    )


def kernels_of(model):
    """Return the variables that are multiplied, by a count that knows nothing of tfopt's."""
    import keras

    depthwise = {
        id(layer.kernel)
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D))
    }
    return [
        variable
        for variable in model.variables
        if len(variable.shape) > 1
        and not NO_KERNEL.search(variable.name)
        and id(variable) not in depthwise
        and "float" in variable.dtype
    ]


def line(error):
    return " ".join(str(error).split())[:600]


def told(error):
    from tfopt.errors import TfoptError

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tfopt/" in frame.filename]
    last = own[-1] if own else frames[-1]
    return {
        "error": f"{type(error).__name__}: {line(error)}",
        "refused": isinstance(error, TfoptError),
        "at": f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno} {last.name}",
    }


# In the process that starts the others -------------------------------------------------------------------


def entries():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import zoo_models

    return zoo_models.models()


def rows_of(names, limit):
    """Yield the row of each model; they share a process, and a further one starts after one that ended."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    rows = {name: {"name": name, "seconds": 0} for name in names}
    left, stages = list(names), list(STAGES)
    while left:
        name = left[0]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers"
            path.touch()
            command = [sys.executable, __file__, "--run", *(left if stages == list(STAGES) else left[:1])]
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
                                list(STAGES),
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
                        left, stages = left[1:], list(STAGES)
                elif left and left[0] == name:
                    stages = list(STAGES)


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
    """Return the columns of one row, in the order of `HEAD`."""
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
        "equal" if reload == "equal" else "-" if not saves or reload == "-" else "NO",
        f"{row['seconds']:.0f}",
    ]


HEAD = ["model", "float32", "TensorFlow", "training", "LSB", "int8", "dB", "prune", "reload", "seconds"]
WIDTHS = [34, 9, 11, 9, 6, 9, 5, 10, 8, 8]


def errors(row):
    """Return (stage, answer) of what went wrong with tfopt."""
    found = [
        (stage, row[stage]) for stage in ("build", *STAGES[:-1]) if not row.get(stage, {"ok": True})["ok"]
    ]
    return [(stage, answer) for stage, answer in found if stage != "save"]


def counts(rows):
    """Return {what: (how many, of how many)}."""
    taken = [row for row in rows if mark(row, "converter") == "yes"]
    kernels = [row for row in rows if zeros(row) != "no kernel"]
    reloads = [row for row in rows if cells(row)[8] != "-"]
    return {
        "verified float32 file": (sum(mark(row, "float32") == "yes" for row in rows), len(rows)),
        "the same, of the models that TensorFlow's converter converts": (
            sum(mark(row, "float32") == "yes" for row in taken),
            len(taken),
        ),
        "verified file after quantization-aware training": (
            sum(mark(row, "training") == "yes" for row in rows),
            len(rows),
        ),
        "verified int8 file without further training": (
            sum(mark(row, "int8") == "yes" for row in rows),
            len(rows),
        ),
        "`prune(model, 0.5)` runs": (sum(mark(row, "prune") == "yes" for row in rows), len(rows)),
        "at least 45 % of all kernel weights are zero": (
            sum(bool(row.get("prune", {}).get("ok")) and row["prune"]["zeros"] >= 0.45 for row in kernels),
            len(kernels),
        ),
        "equal after saving and loading": (sum(cells(row)[8] == "equal" for row in reloads), len(reloads)),
        "no errors except tfopt's own": (
            sum(all(answer["refused"] for _, answer in errors(row)) for row in rows),
            len(rows),
        ),
    }


def text(parts):
    return "".join(
        f"{part:<{width}}" if i == 0 else f"{part:>{width}}"
        for i, (part, width) in enumerate(zip(parts, WIDTHS, strict=True))
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
            head = [*HEAD[:-1], "s"]
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
    parser.add_argument("--run", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--answers", help=argparse.SUPPRESS)
    parser.add_argument("--stages", nargs="*", default=STAGES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        for name in arguments.run:
            run_stages(name, arguments.answers, arguments.stages)
        return
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
    print(text(HEAD), flush=True)
    groups = [names[i : i + arguments.together] for i in range(0, len(names), arguments.together)]

    def show(group):
        for row in rows_of(group, arguments.limit):
            rows[row["name"]] = row
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
