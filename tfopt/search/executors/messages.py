"""What a search and the processes of its trials say to each other, as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfopt.search.failures import TrialProcessError

if TYPE_CHECKING:
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Runner:
    """How a process makes what runs trials: an object with the methods of a `Slot`.

    Attributes:
        made_by: a class or a function, as `"module:name"`.
        arguments: its keyword arguments.
    """

    made_by: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a process is to do.

    Attributes:
        runner, arguments: as `Runner` has them.
        call: `"declare"`, `"foresee"`, `"run_trial"` or `"measure_latency"`.
        hyperparameters: of the trial, as keras-tuner's config.
        paths: the folder of runs, or the two files to measure.
        limited: the costs to foresee.
    """

    runner: str
    arguments: Mapping[str, Any]
    call: str
    hyperparameters: Mapping[str, Any] | None = None
    paths: Sequence[str] = ()
    limited: Sequence[str] = ()

    def to_json(self) -> str:
        """Return the request as one line."""
        return json.dumps(dataclasses.asdict(self), default=lambda scalar: scalar.item())

    @classmethod
    def from_json(cls, line: str) -> Request:
        """Return the request of a line."""
        return cls(**json.loads(line))


def from_hyperparameters(hyperparameters: keras_tuner.HyperParameters) -> dict[str, Any]:
    """Return hyperparameters as JSON values."""
    config: dict[str, Any] = hyperparameters.get_config()
    return config


def to_hyperparameters(config: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """Return the hyperparameters of JSON values."""
    import keras_tuner

    return keras_tuner.HyperParameters.from_config(config)


def result_of(reply: Mapping[str, Any], hyperparameters: keras_tuner.HyperParameters | None = None) -> Any:
    """Return the result of a reply, and add to the hyperparameters those that the trial asked for.

    Raises:
        TrialProcessError: the reply is an error.
    """
    if hyperparameters is not None:
        asked = to_hyperparameters(reply["hyperparameters"])
        hyperparameters.merge(asked)
        hyperparameters.values = asked.values
    if "reason" in reply:
        raise TrialProcessError(reply["reason"], reply["traceback"], of_the_machine=reply["of_the_machine"])
    return reply["result"]
