"""How training scales: measured on two cores, and computed for 8, 64 and 512 GPUs.

Measured, a small CNN, medians of rounds in which all take turns on one machine:

- Two logical devices of one process beside one device, the same batch over all. The cores are the same, so
  the ratio is what splitting a batch and summing gradients costs.
- Two processes, a core and a batch each, beside one process on one core: weak scaling. Gradients go through
  TensorFlow's collectives over loopback. One core runs a process, so the ratio also holds what the two take
  from one another: memory bandwidth, the cache and TensorFlow's other threads.

Computed, ResNet-50 with one batch a GPU:

    bytes      = parameters x bytes of a gradient
    all-reduce = 2 (g - 1)/g bytes / intra + 2 (m - 1)/m bytes / g / inter + 2 (m - 1) latency
    step       = compute + max(0, all-reduce - overlap x compute)
    efficiency = compute / step

for m machines of g GPUs: a reduce-scatter and an all-gather by rings in each machine, and between them rings
of the shares of g parallel links (Patarasuk and Yuan, 2009, Bandwidth Optimal All-reduce Algorithms for
Clusters of Workstations). `intra` and `inter` are bytes a second and GPU. `overlap` is the share of a step
during which gradients can be sent: the backward pass is two thirds of the arithmetic, and a gradient must
exist before it is sent. The formula knows no stragglers, no input pipeline and no jitter: an upper bound.

    python benchmarks/scaling.py [--rounds 7] [--steps 20] [--step-ms 107.8] [--inter 25] [--computed]
"""

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from run_kills import free_ports

BATCH = 64
SIZE = 16

PUBLISHED = (
    # who, GPUs, link, efficiency, where
    (
        "ResNet-50, NVIDIA, DGX A100, mixed precision",
        8,
        "NVLink",
        7.32 / 8,
        "DeepLearningExamples, TensorFlow",
    ),
    ("ResNet-50, NVIDIA, DGX A100, TF32", 8, "NVLink", 7.70 / 8, "DeepLearningExamples"),
    ("ResNet-50, Goyal et al., 2017, P100", 256, "50 Gbit/s Ethernet", 0.90, "arXiv 1706.02677"),
    ("ResNet-101, Horovod, Pascal", 512, "25 Gbit/s RoCE", 0.90, "arXiv 1802.05799"),
    ("ResNet-50, Akiba et al., 2017, P100", 1024, "InfiniBand FDR", 0.80, "arXiv 1711.04325"),
    ("ResNet-50, Mikami et al., 2018, V100", 1088, "2 x InfiniBand EDR", 0.916, "arXiv 1811.05233"),
    ("ResNet-50, Jia et al., 2018, P40", 2048, "100 Gbit/s Ethernet", 0.879, "arXiv 1807.11205"),
)


@dataclass(frozen=True)
class Cluster:
    """Machines of several GPUs.

    Attributes:
        gpus: of a machine.
        intra: bytes a second that a GPU sends within its machine.
        inter: bytes a second that a GPU sends to other machines.
        latency: seconds of one step of a ring between machines.
        overlap: share of a step during which gradients can be sent.
    """

    gpus: int = 8
    intra: float = 235e9
    inter: float = 25e9 / 8
    latency: float = 10e-6
    overlap: float = 0.5

    def all_reduce(self, size: float, gpus: int) -> float:
        """Return the seconds in which `gpus` sum gradients of `size` bytes."""
        inside = min(gpus, self.gpus)
        machines = math.ceil(gpus / self.gpus)
        within = 2 * (inside - 1) / inside * size / self.intra
        between = 2 * (machines - 1) / machines * size / inside / self.inter
        return within + between + 2 * (machines - 1) * self.latency

    def efficiency(self, compute: float, size: float, gpus: int) -> float:
        """Return the share of a step of `gpus` in which they compute, of `compute` seconds on one."""
        waiting = max(0.0, self.all_reduce(size, gpus) - self.overlap * compute)
        return compute / (compute + waiting)


def computed(step_ms, batch, gradient_bytes, cluster):
    """Print the table for ResNet-50."""
    import keras

    model = keras.applications.ResNet50(weights=None)
    parameters = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    size, compute = parameters * gradient_bytes, step_ms / 1e3
    print(
        f"\nComputed, ResNet-50: {parameters / 1e6:.2f} million trained parameters, {size / 1e6:.0f} MB of "
        f"gradients a step,\n{step_ms:.1f} ms a step of {batch} images on one GPU, {cluster.gpus} GPUs a "
        f"machine, {cluster.intra / 1e9:.0f} GB/s within,\n{cluster.inter * 8 / 1e9:.0f} Gbit/s a GPU "
        "between machines."
    )
    print(f"{'GPUs':>6}{'all-reduce ms':>16}{'efficiency':>13}{'not hidden at all':>20}{'images/s':>12}")
    bare = Cluster(cluster.gpus, cluster.intra, cluster.inter, cluster.latency, overlap=0.0)
    for gpus in (1, 8, 64, 512):
        best, worst = (each.efficiency(compute, size, gpus) for each in (cluster, bare))
        print(
            f"{gpus:>6}{cluster.all_reduce(size, gpus) * 1e3:>16.1f}{best:>13.1%}{worst:>20.1%}"
            f"{gpus * batch / compute * best:>12,.0f}"
        )
    print("\nPublished:")
    for who, gpus, link, efficiency, where in PUBLISHED:
        print(f"  {who:<48}{gpus:>6}  {link:<22}{efficiency:>6.1%}  {where}")


def small_model(strategy):
    """Return a compiled CNN, made in the scope of a strategy."""
    import keras

    keras.utils.set_random_seed(0)
    with strategy.scope():
        layers = keras.layers
        model = keras.Sequential([keras.Input((SIZE, SIZE, 3))])
        for width in (32, 64, 64):
            model.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
        model.add(layers.GlobalAveragePooling2D())
        model.add(layers.Dense(10))
        model.compile(
            keras.optimizers.SGD(0.01, 0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
    return model


def fitted_seconds(model, batch, steps):
    """Return the seconds of a step of `fit`, its first step left out."""
    import keras
    import numpy as np

    from tfopt import distribute

    random = np.random.default_rng(0)
    x = random.normal(size=(batch * steps, SIZE, SIZE, 3)).astype("float32")
    y = random.integers(0, 10, len(x))
    times = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, number, logs=None):  # noqa: ARG002
            times.append(time.perf_counter())

    with distribute.training(model, uneven=False):
        model.fit(x, y, batch_size=batch, verbose=0, shuffle=False, callbacks=[Clock()])
    return statistics.median(b - a for a, b in itertools.pairwise(times))


def one_process(rounds, steps):
    """Print what two logical devices cost beside one."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategies = {
        "one device": tf.distribute.get_strategy(),
        "two logical devices": tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    }
    models = {name: small_model(strategy) for name, strategy in strategies.items()}
    times = {name: [] for name in models}
    for round_ in range(rounds + 1):
        for name, model in models.items():
            seconds = fitted_seconds(model, BATCH, steps)
            if round_:
                times[name].append(seconds)
    base = times["one device"]
    print(f"One process, a batch of {BATCH} over all devices, the same cores:")
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, base, strict=True))
        print(f"  {name:<24}{statistics.median(values) * 1e3:8.1f} ms a step{ratio:8.2f}")


def worker(index, ports, steps):
    """Train as one of the processes, on a core of its own, and print the seconds of a step."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1 if len(ports) == 1 else 2)
    if len(ports) == 1:
        strategy = tf.distribute.get_strategy()
    else:
        from tfopt import distribute

        hosts = ",".join(f"localhost:{port}" for port in ports)
        strategy = distribute.multi_worker(hosts, worker=index)
    seconds = [fitted_seconds(small_model(strategy), BATCH * len(ports), steps) for _ in range(2)]
    print(json.dumps(seconds[-1]), flush=True)


def processes(count, steps):
    """Return the seconds of a step that the slower one of `count` processes takes, a batch each."""
    ports = [str(port) for port in free_ports(count)]
    started = [
        subprocess.Popen(
            [sys.executable, __file__, "--worker", str(index), *ports, "--steps", str(steps)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for index in range(count)
    ]
    said = [each.communicate(timeout=600)[0] for each in started]
    if any(each.returncode for each in started):
        sys.exit(f"A worker failed: {[each.returncode for each in started]}")
    return max(json.loads(lines.strip().splitlines()[-1]) for lines in said)


def main():
    """Measure, compute and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--step-ms", type=float, default=256 / 2375 * 1e3,
        help="a step on one GPU; by default of an A100: 2375 images a second, mixed precision, batch 256\n"
        "(NVIDIA DeepLearningExamples, TensorFlow, ResNet-50 v1.5)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=256, help="images of that step")
    parser.add_argument(
        "--gradient-bytes", type=int, default=4, help="of one number: those of Keras are float32"
    )
    parser.add_argument(
        "--intra",
        type=float,
        default=235,
        help="GB/s within a machine: about what NCCL reaches on a DGX A100",
    )
    parser.add_argument("--inter", type=float, default=25, help="Gbit/s a GPU between machines")
    parser.add_argument("--computed", action="store_true", help="measure nothing")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        index, *ports = arguments.worker
        worker(int(index), ports, arguments.steps)
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not arguments.computed:
        one_process(arguments.rounds, arguments.steps)
        pairs = [
            (processes(1, arguments.steps), processes(2, arguments.steps)) for _ in range(arguments.rounds)
        ]
        alone, both = (statistics.median(values) for values in zip(*pairs, strict=True))
        efficiency = statistics.median(one / two for one, two in pairs)
        print(f"Processes of one core, a batch of {BATCH} each:")
        print(f"  one {alone * 1e3:.1f} ms a step, two {both * 1e3:.1f} ms: efficiency {efficiency:.2f}")
    cluster = Cluster(intra=arguments.intra * 1e9, inter=arguments.inter * 1e9 / 8)
    computed(arguments.step_ms, arguments.batch, arguments.gradient_bytes, cluster)


if __name__ == "__main__":
    main()
