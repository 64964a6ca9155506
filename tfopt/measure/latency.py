"""How long a TFLite file takes, next to another one.

A latency alone says as much about the machine and its other tenants as about the file. So all files run in
one process, by turns, on one thread, and the clock is the CPU time of that thread: it stayed the same
while wall time doubled under load. The median of many turns leaves out what interrupts some of them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.errors import InvalidArgumentError

MIN_TURN_SECONDS = 1e-3
"""A turn runs a file as often as fills this: single calls of some microseconds drown in the clock's."""


@dataclass(frozen=True)
class Latency:
    """The time of one call of a file, in seconds of CPU time on one thread.

    Attributes:
        median_seconds: over all turns.
        low_seconds, high_seconds: the 10 % and 90 % quantiles: how steady the figure is.
        ratio: to the first file, below 1 is faster: the median over the turns, in each of which both ran one
            right after the other, so that a machine that is slow for a while slows both.
        calls: how many calls were timed.
    """

    median_seconds: float
    low_seconds: float
    high_seconds: float
    ratio: float
    calls: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self)


def latency(files: Mapping[str, bytes], *, turns: int = 50, warmup: int = 5) -> dict[str, Latency]:
    """Measure files against the first of them.

    Args:
        files: name -> content of a TFLite file; the first is the baseline.
        turns: how often each file has its turn, 1 or more.
        warmup: turns before these that are not counted, 1 or more.

    Returns:
        name -> `Latency`, in the order of `files`.

    Raises:
        InvalidArgumentError: there is no file, LiteRT cannot run one, or a number is below 1.

    Example:
        >>> measure.latency({"float": bytes(float_file), "int8": bytes(int8_file)})["int8"].ratio
    """
    if not files:
        raise InvalidArgumentError("measure.latency needs at least one file, got none.")
    if turns < 1 or warmup < 1:
        raise InvalidArgumentError(f"turns and warmup must be 1 or more, got {turns} and {warmup}.")
    interpreters = {name: _ready(name, bytes(content)) for name, content in files.items()}
    calls = {}
    for name, interpreter in interpreters.items():
        _turn(interpreter, 1)  # the first call packs weights
        calls[name] = max(1, round(MIN_TURN_SECONDS / max(_turn(interpreter, 1), 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in files}
    for turn in range(warmup + turns):
        for name, interpreter in interpreters.items():
            taken = _turn(interpreter, calls[name])
            if turn >= warmup:
                seconds[name].append(taken)
    baseline = np.array(next(iter(seconds.values())))
    return {
        name: Latency(
            median_seconds=float(np.median(taken)),
            low_seconds=float(np.quantile(taken, 0.1)),
            high_seconds=float(np.quantile(taken, 0.9)),
            ratio=float(np.median(np.array(taken) / baseline)),
            calls=turns * calls[name],
        )
        for name, taken in seconds.items()
    }


def _ready(name: str, content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        for details in interpreter.get_input_details():
            if (details["shape_signature"][1:] < 0).any():  # an open batch is 1
                raise InvalidArgumentError(
                    f"The file {name!r} leaves sizes of its input {details['name']!r} open, "
                    f"{list(map(int, details['shape_signature']))}, and how long it takes depends on them: "
                    "measure one with fixed sizes, to_tflite(model, input_shapes=...)."
                )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InvalidArgumentError(f"LiteRT cannot run the file {name!r}: {error}.") from error
    generator = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], _values(generator, details))
    return interpreter


def _values(generator: np.random.Generator, details: Mapping[str, Any]) -> np.ndarray:
    shape, dtype = details["shape"], np.dtype(details["dtype"])
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    if dtype in (np.int8, np.uint8) and details["quantization_parameters"]["scales"].size:
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.zeros(shape, dtype)  # indices, such as those of an embedding: 0 is always one


def _turn(interpreter: Any, calls: int) -> float:
    start = time.thread_time()
    for _ in range(calls):
        interpreter.invoke()
    return (time.thread_time() - start) / calls
