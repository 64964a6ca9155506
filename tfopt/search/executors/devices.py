"""Which processors each of several processes gets: threads of the CPU are divided, GPUs are dealt out."""

from __future__ import annotations

import os
import shutil
import subprocess

_THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
"""What TensorFlow and the libraries of NumPy take their number of threads from."""

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def environments(workers: int) -> list[dict[str, str]]:
    """Return what is added to the environment of each of `workers` processes on this machine.

    Where there are fewer GPUs than processes, some share one and take its memory as they need it. What the
    user says of threads in the environment stays.
    """
    gpus = visible_gpus()
    return [
        {**threads(max(1, cpus() // workers)), **_gpu(gpus, number, shared=workers > len(gpus))}
        for number in range(workers)
    ]


def threads(count: int) -> dict[str, str]:
    """Return the environment of a process that is to use so many threads."""
    return {name: str(count) for name in _THREADS if name not in os.environ}


def cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the names of the NVIDIA GPUs that this process may use, without touching one."""
    if _VISIBLE in os.environ:
        named = [name.strip() for name in os.environ[_VISIBLE].split(",")]
        # As CUDA reads it: what stands behind the first that does not exist is not visible.
        return named[: named.index("-1")] if "-1" in named else [name for name in named if name]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    lines = listed.stdout.splitlines() if listed.returncode == 0 else []
    return [str(number) for number, line in enumerate(lines) if line.startswith("GPU ")]


def _gpu(gpus: list[str], number: int, *, shared: bool) -> dict[str, str]:
    if not gpus:
        return {}
    chosen = {_VISIBLE: gpus[number % len(gpus)]}
    return {**chosen, "TF_FORCE_GPU_ALLOW_GROWTH": "true"} if shared else chosen
