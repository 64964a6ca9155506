"""Where a run ran: versions and machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

_PACKAGES = {
    "tfopt": "tfopt",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "ai_edge_litert": "ai-edge-litert",
}


def environment() -> dict[str, Any]:
    """Return the versions of what matters to a result, and the machine."""
    import tensorflow as tf

    return {
        **{name: _version(package) for name, package in _PACKAGES.items()},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "gpus": [
            tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.list_physical_devices("GPU")
        ],
    }


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
