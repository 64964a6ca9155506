"""A checkpoint at the end of an epoch or in the middle of one, from which training resumes exactly.

`keras.callbacks.BackupAndRestore` leaves out the states of seed generators, so that dropout draws other
masks after a restart, and the states of callbacks (keras-team/keras#19796).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfopt.errors import RunError
from tfopt.files import replacing
from tfopt.pipeline.training.state import capture, restore

PATTERN = "checkpoint-*.npz"
"""How the files are named, in the folder of a stage: one for each training of it."""

_STATE = "state"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        epoch: how many epochs are done.
        step: how many steps of the next one are done.
        stopped: whether a callback has ended the training.
        seconds: how long they took.
        history: what the logs held, a list a key.
        state: the states of callbacks and constraints.
        arrays: the values of variables and of arrays in `state`.
    """

    epoch: int
    stopped: bool
    seconds: float
    history: dict[str, list[float]]
    state: dict[str, Any]
    arrays: dict[str, np.ndarray]
    step: int = 0

    @classmethod
    def read(cls, path: Path) -> Checkpoint | None:
        """Return the checkpoint at `path`, or `None` where there is none.

        Raises:
            RunError: the file is damaged.
        """
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return cls(**json.loads(arrays.pop(_STATE).tobytes()), arrays=arrays)
        except Exception as error:
            raise RunError(f"The checkpoint {path} is damaged ({error}).") from error

    def restore(
        self,
        model: keras.Model,
        callbacks: Sequence[keras.callbacks.Callback],
        measured: Sequence[keras.Variable] = (),
    ) -> None:
        """Give a compiled model and its callbacks the state of the checkpoint.

        Args:
            model, callbacks, measured: see `write`; without `measured` an epoch begins.

        Raises:
            RunError: the model is another one.
        """
        variables = _variables(model, measured)
        held = {name: array for name, array in self.arrays.items() if name in variables}
        expected = {name: tuple(variable.shape) for name, variable in variables.items()}
        if expected != {name: array.shape for name, array in held.items()}:
            raise RunError(
                "The checkpoint is of another model than the stage makes now. Run with --fresh (fresh=True)."
            )
        for name, variable in variables.items():
            values = held[name]
            if values.dtype.kind == "V":  # how NumPy reads back bfloat16 and its like
                values = values.view(keras.ops.convert_to_numpy(variable).dtype)
            variable.assign(values)
        for name, holder in _holders(model, callbacks).items():
            restore(holder, self.state.get(name, {}), self.arrays)


def write(
    path: Path | None,
    model: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
    measured: Sequence[keras.Variable] = (),
    *,
    epoch: int,
    step: int = 0,
    stopped: bool,
    seconds: float,
    history: dict[str, list[float]],
) -> None:
    """Write a checkpoint of a model that is training.

    Args:
        path: of the file; `None` reads the state and writes nothing, in a process that is not the chief of
            several: to read the state of several replicas all of them are needed.
        measured: the variables that hold the logs of an epoch, in the middle of it.
        model, callbacks, epoch, step, stopped, seconds, history: see `Checkpoint`.
    """
    variables = _variables(model, measured)
    arrays = {name: np.asarray(keras.ops.convert_to_numpy(v)) for name, v in variables.items()}
    state = {name: capture(holder, arrays, f"{name}/") for name, holder in _holders(model, callbacks).items()}
    if path is None:
        return
    header = {
        "epoch": epoch,
        "step": step,
        "stopped": stopped,
        "seconds": seconds,
        "history": history,
        "state": state,
    }
    arrays[_STATE] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def transfer(source: keras.Model, target: keras.Model) -> None:
    """Give `target`, of which `source` is a copy, the values and the states of constraints of `source`."""
    values = [keras.ops.convert_to_numpy(variable) for variable in source.variables]
    for variable, value in zip(target.variables, values, strict=True):
        variable.assign(value)
    held = _constraints(target)
    for name, constraint in _constraints(source).items():
        arrays: dict[str, np.ndarray] = {}
        restore(held[name], capture(constraint, arrays, ""), arrays)


def _variables(model: keras.Model, measured: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    """Return everything that a training step changes, by name; a model's seed generators are among it."""
    return {
        **{f"measured/{i}": variable for i, variable in enumerate(measured)},
        **{f"model/{i}": variable for i, variable in enumerate(model.variables)},
        **{f"optimizer/{i}": variable for i, variable in enumerate(model.optimizer.variables)},
    }


def _holders(model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, Any]:
    """Return the objects whose attributes training may change: callbacks, and constraints such as masks."""
    return {
        **{f"callback/{i}": callback for i, callback in enumerate(callbacks)},
        **_constraints(model),
    }


def _constraints(model: keras.Model) -> dict[str, Any]:
    """Return the constraints of a model's variables, such as masks, by name."""
    return {
        f"constraint/{i}{'/in' * depth}": constraint
        for i, variable in enumerate(model.variables)
        for depth, constraint in enumerate(_nested(variable.constraint))
        if hasattr(constraint, "__dict__")
    }


def _nested(constraint: Any) -> Iterator[Any]:
    """Yield a constraint and those in it: clusters in a mask."""
    while constraint is not None:
        yield constraint
        constraint = getattr(constraint, "constraint", None)
