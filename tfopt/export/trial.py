"""Running a file for the first time in a process that may die of it.

LiteRT checks some things by ending the process: an addition whose scales lie too far apart, a conversion to a
scale that no float holds. The trial takes about 0.15 seconds and one run of the file.
"""

from __future__ import annotations

import signal
import subprocess
import sys

from tfopt.errors import InvalidArgumentError


def try_out(content: bytes, source: str) -> None:
    """Run a file once elsewhere.

    Args:
        content: of the file.
        source: what an error message calls it.

    Raises:
        InvalidArgumentError: LiteRT refuses it, or dies.
    """
    child = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD], input=content, capture_output=True, check=False
    )
    if child.returncode == 0:
        return
    said = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
    if child.returncode > 0:
        raise InvalidArgumentError(f"LiteRT cannot run {source}: {' '.join(said)}.")
    raise InvalidArgumentError(
        f"LiteRT dies of {signal.Signals(-child.returncode).name} when it runs {source}; your process lives "
        "on, for it was tried in another one. Its scales lie very far apart: were the ranges found while "
        "training diverged? Calibrate the model again and export it anew."
    )


_CHILD = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
try:
    interpreter = Interpreter(model_content=sys.stdin.buffer.read(), num_threads=1)
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():  # what the memory holds may be no token
        interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], entry["dtype"]))
    interpreter.invoke()
except (ValueError, RuntimeError) as error:
    sys.exit(" ".join(str(error).split()))
"""
