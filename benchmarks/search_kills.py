"""Kill a search, or one of its workers, at random moments, and compare what comes out with one left alone.

    python benchmarks/search_kills.py --kills 20 --workers 2

A real search over a small recipe on digits is begun again after each `kill -9` with the same command. Prints
for each search how it was killed and whether its trials and its front are those of a search that was not.
Latency is measured anew in each and differs, so the front is that of accuracy and bytes. With two workers the
sampler is `random`: which trials have ended when another one begins is chance, and others look at them.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tfopt.search import SearchResult

RECIPE = """
import keras, tfopt

def build(hp):
    return tfopt.Recipe(
        data=tfopt.data.load("digits"),
        model=lambda data: keras.Sequential([
            keras.Input(data.input_shape),
            keras.layers.Conv2D(hp.Int("width", 2, 12, default=4), 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(hp.Float("dropout", 0.0, 0.3, default=0.1)),
            keras.layers.Dense(data.num_classes, activation="softmax"),
        ]),
        optimizer=lambda steps: keras.optimizers.Adam(1e-2),
        stages=[tfopt.Train(epochs=12), tfopt.ExportTFLite("int8")],
    )
"""

KILLS_PER_SEARCH = 7


def begin(folder: Path, options: argparse.Namespace) -> subprocess.Popen:
    """Start the search of a folder, or go on with it."""
    command = [
        sys.executable,
        "-m",
        "tfopt",
        "search",
        str(folder.parent / "small.py"),
        "--minimize",
        "bytes",
    ]
    command += ["--maximize", "accuracy", "--trials", str(options.trials), "--out", str(folder)]
    command += ["--sampler", "tpe" if options.workers == 1 else "random", "--workers", str(options.workers)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def workers_of(search: subprocess.Popen) -> list[int]:
    """Return the process ids of the trials' processes of a search."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == search.pid and b"tfopt.search.executors.child" in words:
            found.append(int(entry.name))
    return found


def result(folder: Path) -> tuple[list, list]:
    """Return the trials of a search, and the numbers of those that none beats in accuracy and bytes."""
    (path,) = folder.glob("search-*")
    record = SearchResult.load(path).record
    trials = [
        (
            trial["number"],
            trial["status"],
            trial["values"],
            trial["figures"].get("accuracy"),
            trial["figures"].get("bytes"),
        )
        for trial in record["trials"]
    ]
    points = [(-trial[3], trial[4], trial[0]) for trial in trials if trial[1] == "complete"]
    front = [c for a, b, c in points if not any(x <= a and y <= b and (x, y) != (a, b) for x, y, _ in points)]
    return trials, front


def killed_search(
    folder: Path, options: argparse.Namespace, seconds: float, kills: int, moments
) -> list[str]:
    """Run a search that is killed so many times, and return how it was."""
    told: list[str] = []
    search = begin(folder, options)
    while len(told) < kills:
        moment = moments.uniform(0, seconds)
        try:
            search.wait(moment)
            break  # it was complete before
        except subprocess.TimeoutExpired:
            pass
        workers = workers_of(search)
        if workers and moments.random() < 0.5:
            os.kill(moments.choice(workers), signal.SIGKILL)
            told.append(f"a worker after {moment:.0f} s")
        else:
            search.kill()
            search.wait()
            told.append(f"the search after {moment:.0f} s")
            search = begin(folder, options)
    if search.wait():
        told.append(f"and it ended with exit code {search.returncode}")
    return told


def main() -> None:
    """Print how many searches that were killed ended as the one that was not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "small.py").write_text(RECIPE)
        started = time.monotonic()
        assert begin(root / "alone", options).wait() == 0
        seconds = time.monotonic() - started
        expected = result(root / "alone")
        print(f"left alone: {len(expected[0])} trials in {seconds:.0f} s, front {expected[1]}", flush=True)
        kills = same = 0
        number = 0
        while kills < options.kills:
            number += 1
            folder = root / f"killed-{number}"
            told = killed_search(
                folder, options, seconds, min(KILLS_PER_SEARCH, options.kills - kills), moments
            )
            equal = result(folder) == expected
            kills, same = kills + len(told), same + len(told) * equal
            print(
                f"search {number}: {'the same' if equal else 'DIFFERENT'}; killed: {', '.join(told)}",
                flush=True,
            )
            if not equal:
                print(f"  expected {expected}\n  got      {result(folder)}", flush=True)
        print(f"{same} of {kills} kills: the same finished trials and the same front")


if __name__ == "__main__":
    main()
