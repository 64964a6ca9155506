"""Kill a run of three stages at random moments, and compare what comes out with one left alone.

    python benchmarks/run_kills.py --kills 20 --workers 1
    python benchmarks/run_kills.py --kills 20 --workers 2

A small recipe on digits (training, masks, quantization-aware training, file) is begun again after each
`kill -9` with the same command, with checkpoints within epochs too. With two workers, two processes train
together over the loopback; one of them is killed, the other one must stop by itself, and both are begun
again. Prints for each run how it was killed, and whether the metrics of all stages and the file itself are
those of the run that was not.
"""

import argparse
import hashlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """
import keras, tfopt

def build(hp):
    return tfopt.Recipe(
        data=tfopt.data.load("digits"),
        model=lambda data: keras.Sequential([
            keras.Input(data.input_shape),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(data.num_classes, activation="softmax"),
        ]),
        optimizer=lambda steps: keras.optimizers.Adam(3e-3),
        stages=[
            tfopt.Train(epochs=2 * EPOCHS),
            tfopt.Prune(0.5, epochs=EPOCHS),
            tfopt.QuantizeAware("int8", epochs=EPOCHS),
            tfopt.ExportTFLite(),
        ],
        batch_size=32,
    )
"""
KILLS_PER_RUN = 4
STOPS_WITHIN = 120
"""Seconds in which the other worker notices."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def begin(folder: Path, workers: int) -> list[subprocess.Popen]:
    """Start the processes of a run, or go on with it; each writes what it says to a file beside the run."""
    command = [sys.executable, "-m", "tfopt", "run", str(folder.parent / "small.py")]
    command += ["--out", str(folder), "--checkpoint-steps", "10"]
    options: list[list[str]] = [[]]
    if workers > 1:
        hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(workers))
        shared = ["--strategy", "multi_worker", "--hosts", hosts, "--timeout", "60"]
        options = [[*shared, "--worker", str(number)] for number in range(workers)]
    started = []
    for number, each in enumerate(options):
        with (folder.parent / f"{folder.name}-{number}.log").open("ab") as log:
            started.append(subprocess.Popen([*command, *each], stdout=log, stderr=log))
    return started


def result(folder: Path) -> list:
    """Return the metrics of all stages, and the digest of the file; nothing where the run did not end."""
    (path,) = (each.parent for each in folder.glob("*/run.json"))
    if not (path / "model.tflite").exists():
        return []
    stages = json.loads((path / "run.json").read_text())["stages"]
    file = hashlib.sha256((path / "model.tflite").read_bytes()).hexdigest()
    return [*((stage["name"], stage["metrics"]) for stage in stages), file]


def killed_run(folder: Path, workers: int, seconds: float, kills: int, moments: random.Random) -> list[str]:
    """Run a recipe that is killed so many times, and return how it was."""
    told: list[str] = []
    while True:
        processes = begin(folder, workers)
        chosen = moments.randrange(workers)
        if len(told) < kills:
            moment = moments.uniform(0, seconds)
            try:
                processes[chosen].wait(moment)
            except subprocess.TimeoutExpired:
                processes[chosen].kill()
                told.append(f"{'' if workers == 1 else f'worker {chosen} '}after {moment:.0f} s")
                for process in processes:
                    try:
                        process.wait(STOPS_WITHIN)
                    except subprocess.TimeoutExpired:
                        told.append("the other worker did not stop by itself")
                        process.kill()
                continue
        codes = [process.wait() for process in processes]
        return told if not any(codes) else [*told, f"and it ended with exit codes {codes}"]


def main() -> None:
    """Print how many runs that were killed ended as the one that was not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--epochs", type=int, default=2, help="of pruning and quantization; twice as many before"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "small.py").write_text(RECIPE.replace("EPOCHS", str(options.epochs)))
        started = time.monotonic()
        assert not any(process.wait() for process in begin(root / "alone", options.workers))
        seconds = time.monotonic() - started
        expected = result(root / "alone")
        print(f"left alone: {seconds:.0f} s, {expected}", flush=True)
        kills = same = number = 0
        while kills < options.kills:
            number += 1
            folder = root / f"killed-{number}"
            asked = min(KILLS_PER_RUN, options.kills - kills)
            told = killed_run(folder, options.workers, seconds, asked, moments)
            found = result(folder)
            equal = found == expected and not any("exit" in each for each in told)
            done = sum("after" in each for each in told)
            kills, same = kills + done, same + done * equal
            print(
                f"run {number}: {'the same' if equal else 'DIFFERENT'}; killed: {', '.join(told)}", flush=True
            )
            if not equal:
                print(f"  got {found}", flush=True)
                for log in sorted(root.glob(f"{folder.name}-*.log")):
                    print(f"  {log.name}: {log.read_text()[-2000:]}", flush=True)
        print(f"{same} of {kills} kills: the same metrics of all stages and the same file")


if __name__ == "__main__":
    main()
