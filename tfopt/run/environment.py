"""Where and when a run ran: versions, machine, command line and time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tfopt.run.run_record import EnvironmentRecord


def environment(gpus: Iterable[str]) -> EnvironmentRecord:
    """Return the versions of what matters to a result, and the machine.

    Args:
        gpus: the names of the GPUs, which only TensorFlow knows.
    """
    return EnvironmentRecord(
        tfopt=_version("tfopt"),
        tensorflow=_version("tensorflow"),
        keras=_version("keras"),
        ai_edge_litert=_version("ai-edge-litert"),
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu(),
        cores=os.cpu_count(),
        gpus=tuple(gpus),
    )


def now() -> str:
    """Return the time in ISO 8601, with the zone."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def tfopt_version() -> str:
    """Return the version of tfopt, as records have it; `""` where it is not installed."""
    return _version("tfopt") or ""


def command() -> str:
    """Return the command line of this process, as one would type it again."""
    program = Path(sys.argv[0] or "python").name
    words = [program, *sys.argv[1:]]
    return shlex.join(["python", sys.argv[0], *sys.argv[1:]] if program.endswith(".py") else words)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
