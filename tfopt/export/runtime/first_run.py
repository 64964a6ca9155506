"""The first run of a file, in a subprocess that may crash.

LiteRT checks some things only when it runs a file, and some by ending the process: an addition whose scales
lie too far apart, a conversion to a scale that no float holds. Such a file is never returned.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export.converter.process import ChildEnded, ConverterProcess
from tfopt.export.flatbuffer.fields import operator_name, text
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.flatbuffer.write import serialize


@dataclass(frozen=True)
class Failure:
    """Why LiteRT cannot run a file.

    Attributes:
        said: the message of LiteRT.
        operator: the first that fails, such as `"CONV_2D"`.
        number: of it in the file, from 0.
        layer: of the Keras model that computes it.
        crashed: how LiteRT ended the process, such as `"SIGABRT"`; `""` where it refused the file.
    """

    said: str
    operator: str
    number: int
    layer: str
    crashed: str = ""

    def __str__(self) -> str:
        which = f"the operator {self.operator} (number {self.number}) of the layer {self.layer!r}"
        if self.crashed:
            return (
                f"LiteRT crashed ({self.crashed}) while running {which} in a subprocess. Its last output: "
                f"{self.said}"
            )
        return f"LiteRT refuses {which}: {self.said}"


def require_run(content: bytes, samples: Sequence[np.ndarray] | None, advice: str) -> None:
    """Raise where LiteRT cannot run a file that was made.

    Args:
        content: of the file.
        samples: one array an input, as the file takes them, to run it on after zeros.
        advice: what to do then; `{layer}` is replaced by the layer.

    Raises:
        ConversionError: it names the operator and the layer.
    """
    failure = failure_of(content, samples)
    if failure is not None:
        raise ConversionError(
            f"The file was written, but {failure} {advice.format(layer=failure.layer.split(' + ')[0])}"
        )


def try_out(content: bytes, source: str) -> None:
    """Run a file once elsewhere.

    Args:
        content: of the file.
        source: what an error message calls it.

    Raises:
        InvalidArgumentError: LiteRT refuses it, or crashes.
    """
    failure = failure_of(content)
    if failure is not None:
        raise InvalidArgumentError(
            f"LiteRT cannot run {source}: {failure} Do its scales lie very far apart? Calibrate the model "
            "again and export it again."
        )


def failure_of(content: bytes, samples: Sequence[np.ndarray] | None = None) -> Failure | None:
    """Run a file once in the converter's process; return what fails, None where nothing does.

    Args:
        content: of the file.
        samples: one array an input, as the file takes them.
    """
    with tempfile.TemporaryDirectory(prefix="tfopt-") as folder:
        given = None if samples is None else Path(folder, "samples.npz")
        if given is not None and samples is not None:
            np.savez(given, *samples)
        trial = _Trial(Path(folder, "file.tflite"), given)
        if trial.passes(content):
            return None
        said, crashed = trial.said, trial.crashed
        count = len(parse(content).subgraphs[0].operators or [])
        if not count:
            return Failure(trial.said, "none", 0, "", trial.crashed)
        low, high = 0, count  # the first `low` operators run, the first `high` do not
        while high - low > 1:
            middle = (low + high) // 2
            if trial.passes(_first(content, middle)):
                low = middle
            else:
                high, said, crashed = middle, trial.said, trial.crashed
    model = parse(content)
    graph = model.subgraphs[0]
    operator = graph.operators[high - 1]
    layer = layer_of(text(graph.tensors[int(operator.outputs[0])].name))
    return Failure(said, operator_name(model, operator), high - 1, layer, crashed)


class _Trial:
    """Runs contents one after another, and keeps the message about the last one."""

    def __init__(self, path: Path, samples: Path | None) -> None:
        self._path, self._samples = path, samples
        self.said = self.crashed = ""

    def passes(self, content: bytes) -> bool:
        self._path.write_bytes(content)
        self.crashed = ""
        try:
            error = ConverterProcess.run(self._path, self._samples)
        except ChildEnded as ended:
            self.said, self.crashed = _sentence(ended.said), ended.how
            return False
        self.said = _sentence(re.sub(r"^\w+: ", "", error))
        return not error


def _first(content: bytes, count: int) -> bytes:
    """Return a file of its first operators alone."""
    model: Any = parse(content)
    graph = model.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = list(graph.operators[-1].outputs)
    model.signatureDefs = []
    return serialize(model)


def _sentence(said: str) -> str:
    found = " ".join(said.split()).replace("Node number", " Node number").rstrip(".")
    return f"{found}."
