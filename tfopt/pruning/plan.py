"""What a kernel's pruning aims at."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.pruning.criteria import criterion_of
from tfopt.pruning.patterns import pattern_of
from tfopt.pruning.schedules import RigL, Schedule, check_sparsity

SCOPES = ("layer", "global")
DEFAULT_SPARSITY = 0.8


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class Plan:
    """How far one kernel is to be pruned, when, and what its weights are compared by and with.

    Args:
        sparsity: the final share of zeros, in [0, 1); of a pattern N:M its own.
        schedule: how the sparsity comes about while training; None for at once.
        scope: `"layer"` compares a kernel's weights with one another; kernels with `"global"` are
            pruned by one common threshold, and `sparsity` is their common share of zeros.
        pattern: where the zeros may stand, see `tfopt.prune`.
        criterion: what says which weights go first, see `tfopt.prune`.
        seed: of the criterion `"random"`.
    """

    sparsity: float
    schedule: Schedule | None = None
    scope: str = "layer"
    pattern: str = "unstructured"
    criterion: str = "magnitude"
    seed: int = 0

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        _validation.whole("prune", "seed", self.seed, at_least=0)
        if self.scope not in SCOPES:
            raise InvalidArgumentError(f'scope must be "layer" or "global", got {self.scope!r}.')
        pattern, criterion = pattern_of(self.pattern), criterion_of(self.criterion)
        if pattern.sparsity is not None and self.scope == "global":
            raise InvalidArgumentError(
                f"The pattern {self.pattern!r} has the same sparsity in each kernel, so that there is "
                'nothing to distribute: leave scope="layer" and distribution="uniform".'
            )
        if self.schedule is not None:
            _check_criterion(criterion.name, self.schedule)
            if self.schedule.grows_by_gradient and pattern.sparsity is not None:
                raise InvalidArgumentError(
                    f"RigL moves single weights or blocks, which the pattern {self.pattern!r} does not let "
                    "it: take ConstantSparsity() or Cubic(regrow=True), or another pattern."
                )

    @property
    def initial_sparsity(self) -> float:
        """The sparsity before the first training step."""
        return self.sparsity if self.schedule is None else self.schedule.initial(self.sparsity)

    def sparsity_at(self, step: int, total_steps: int | None) -> float:
        """Return the sparsity that training step `step` works with."""
        if self.schedule is None:
            return self.sparsity
        return self.schedule.sparsity_at(step, total_steps, self.sparsity)

    def moment(self, step: int, total_steps: int | None) -> tuple[float, int]:
        """Return what changes when the masks are to: sparsity, and number of the last change besides."""
        change = 0 if self.schedule is None else self.schedule.change_at(step, total_steps)
        return self.sparsity_at(step, total_steps), change

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether the final sparsity is reached once `step` steps are done."""
        return self.schedule is None or self.schedule.finished(step, total_steps)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | {"schedule": keras.saving.serialize_keras_object(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Plan:
        """Return the plan that `get_config` described."""
        return cls(**config | {"schedule": keras.saving.deserialize_keras_object(config["schedule"])})


def sparsity_of(sparsity: float | None, pattern: str | None) -> float:
    """Return the sparsity that is asked for; None is that of the pattern, or 0.8.

    Raises:
        InvalidArgumentError: it is out of range, or not that of the pattern N:M, or there is no such pattern.
    """
    fixed = pattern_of(pattern).sparsity
    if sparsity is None:
        return DEFAULT_SPARSITY if fixed is None else fixed
    check_sparsity(sparsity)
    if fixed is not None and abs(sparsity - fixed) > 1e-9:
        raise InvalidArgumentError(
            f"The pattern {pattern!r} makes {fixed:.4g} of the weights zero, got sparsity={sparsity}: leave "
            "sparsity out, or take another pattern."
        )
    return sparsity if fixed is None else fixed


def _check_criterion(name: str, schedule: Schedule) -> None:
    """Raise unless a criterion can be measured when a schedule prunes."""
    if isinstance(schedule, RigL):
        if name == "movement":
            raise InvalidArgumentError(
                "RigL drops by magnitude and grows by gradient; the criterion chooses the first masks only, "
                "and 'movement' is measured while training: take 'magnitude', 'random', 'snip' or 'taylor'."
            )
        return
    if not criterion_of(name).in_training:
        raise InvalidArgumentError(
            f"The criterion {name!r} is measured before training and prunes at once: leave schedule out (in "
            'the stage Prune: schedule="one_shot", begin=0.0), or take the criterion "taylor".'
        )
    if name in ("taylor", "movement"):
        if schedule.initial(0.5):
            raise InvalidArgumentError(
                f"The criterion {name!r} is measured while training, and the schedule makes zeros before the "
                "first step: let it begin later, without initial_sparsity."
            )
        if schedule.regrows:
            raise InvalidArgumentError(
                f"The criterion {name!r} says nothing about weights that do not live, so none can come back: "
                "take Cubic() or OneShot(), or the criterion 'magnitude'."
            )
