"""What a kernel's pruning aims at."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from tfopt.errors import InvalidArgumentError
from tfopt.pruning.schedule import Cubic, check_sparsity

SCOPES = ("layer", "global")


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class Plan:
    """How far one kernel is to be pruned, when, and what its weights are compared with.

    Args:
        sparsity: the final share of zeros, in [0, 1).
        schedule: how the sparsity rises to it while training; None for at once.
        scope: `"layer"` compares a kernel's weights with one another; kernels with `"global"` are
            pruned by one common threshold, and `sparsity` is their common share of zeros.
    """

    sparsity: float
    schedule: Cubic | None = None
    scope: str = "layer"

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        if self.scope not in SCOPES:
            raise InvalidArgumentError(f'scope must be "layer" or "global", got {self.scope!r}.')

    @property
    def initial_sparsity(self) -> float:
        """The sparsity before the first training step."""
        return self.sparsity if self.schedule is None else min(self.schedule.initial_sparsity, self.sparsity)

    def sparsity_at(self, step: int, total_steps: int | None) -> float:
        """Return the sparsity that training step `step` works with."""
        if self.schedule is None:
            return self.sparsity
        return self.schedule.sparsity_at(step, total_steps, self.sparsity)

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether the final sparsity is reached once `step` steps are done."""
        return self.schedule is None or self.schedule.finished(step, total_steps)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            "sparsity": self.sparsity,
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "scope": self.scope,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Plan:
        """Return the plan that `get_config` described."""
        return cls(**config | {"schedule": keras.saving.deserialize_keras_object(config["schedule"])})
