"""The rules of the order of stages, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from tfopt.errors import InvalidArgumentError, StageOrderError
from tfopt.stages.base import Stage
from tfopt.stages.teaching import teacher_of


@dataclass(frozen=True, kw_only=True)
class OrderRule:
    """`then` may not come anywhere after `first`; both are class names, and `"Stage"` is any stage.

    With an `engine`, the rule is for a `first` of that engine alone.
    """

    first: str
    then: str
    reason: str
    engine: str | None = None

    def forbids(self, first: Stage, then: Stage) -> bool:
        """Return whether `then` may not come after `first`."""
        named = self.first in _names(first) and self.then in _names(then)
        return named and self.engine in (None, getattr(first, "engine", None))


RULES = (
    OrderRule(
        first="ExportTFLite",
        then="Stage",
        reason="the file is written from the model as it is then, so ExportTFLite comes last",
    ),
    OrderRule(
        first="QuantizeAware",
        then="QuantizeAware",
        reason="the model is quantization-aware already; keep one of the two",
    ),
    OrderRule(
        first="QuantizeAware",
        then="Cluster",
        reason="clusters are made of the float weights; put Cluster before QuantizeAware",
    ),
    OrderRule(
        first="Cluster",
        then="Prune",
        reason="zeros in the midst of clusters would take part in their means, and clusters dissolve; put "
        "Prune before Cluster, which keeps the zeros",
    ),
    *(
        OrderRule(
            first="Cluster",
            then=then,
            reason="what tensorflow-model-optimization has clustered is held by nothing once it is stripped, "
            f"and clusters dissolve; put {then} before Cluster, or take engine='keras'",
            engine="tfmot",
        )
        for then in ("Train", "Distill")
    ),
    OrderRule(
        first="QuantizeAware",
        then="Distill",
        reason="the quantization-aware model learns from a teacher while it is made; write "
        "QuantizeAware(teacher=...) instead",
    ),
    *(
        OrderRule(
            first=first,
            then="LowRank",
            reason=f"factors of a kernel have none of its {what}; put LowRank before {first}",
        )
        for first, what in (("Prune", "zeros"), ("Cluster", "clusters"))
    ),
    OrderRule(
        first="QuantizeAware",
        then="LowRank",
        reason="factors are found for float kernels, and each gets ranges of its own; put LowRank before "
        "QuantizeAware",
    ),
    OrderRule(
        first="QuantizeAware",
        then="PruneChannels",
        reason="the ranges that were learned are those of the channels that the model then had; put "
        "PruneChannels before QuantizeAware",
    ),
    OrderRule(
        first="Prune",
        then="PruneChannels",
        reason="the zeros were chosen among the channels that the model then had; put PruneChannels before "
        "Prune",
    ),
    OrderRule(
        first="Cluster",
        then="PruneChannels",
        reason="clusters were made of the channels that the model then had; put PruneChannels before Cluster",
    ),
    OrderRule(
        first="LowRank",
        then="PruneChannels",
        reason="ranks are chosen for the widths that the layers have; put PruneChannels before LowRank",
    ),
    OrderRule(
        first="PruneChannels",
        then="PruneChannels",
        reason="a goal is a share of the model that the stage takes, so the second would start over; keep "
        "one of the two, with iterations=2 for two steps",
    ),
    *(
        OrderRule(first=first, then="Tie", reason=f"{reason}; put Tie before {first}")
        for first, reason in (
            ("Prune", "layers that become one have masks of their own"),
            ("PruneChannels", "layers that become one would have lost other channels"),
            ("Cluster", "layers that become one have clusters of their own"),
            ("LowRank", "layers that become one would have factors of other ranks"),
            ("QuantizeAware", "layers that become one have ranges of their own"),
        )
    ),
    OrderRule(
        first="QuantizeAware",
        then="Prune",
        reason="masks are computed on the float weights, and what is zeroed later would shift the ranges "
        "that were learned; put Prune before QuantizeAware",
    ),
)


def check_order(stages: Sequence[Stage]) -> None:
    """Check that the stages of a pipeline can follow one another.

    Raises:
        InvalidArgumentError: there are none, or something else is among them.
        StageOrderError: one would undo another; the message says which and why.
    """
    if not isinstance(stages, list | tuple | None.__class__):
        raise InvalidArgumentError(f"The stages must be a list, such as [tfopt.Train()], got {stages!r}.")
    if not stages:
        raise InvalidArgumentError("A pipeline needs at least one stage, such as tfopt.Train(epochs=20).")
    for position, stage in enumerate(stages, 1):
        if not isinstance(stage, Stage):
            forgotten = isinstance(stage, type) and issubclass(stage, Stage)
            advice = f" Call it: {stage.__name__}()." if forgotten else ""
            raise InvalidArgumentError(f"Stage {position} must be a tfopt stage, got {stage!r}.{advice}")
    for (i, first), (j, then) in combinations(enumerate(stages, 1), 2):
        for rule in RULES:
            if rule.forbids(first, then):
                raise StageOrderError(
                    f"{type(then).__name__} (stage {j}) cannot come after {type(first).__name__} (stage {i})"
                    f": {rule.reason}."
                )
    _check_teachers(stages)


def _check_teachers(stages: Sequence[Stage]) -> None:
    """Raise where a stage would learn from the very model that it gets."""
    changed = False
    for position, stage in enumerate(stages, 1):
        trains_only = bool(_names(stage) & {"Train", "Distill"})
        teacher = teacher_of(stage)
        if teacher is not None and teacher.file is None and trains_only and not changed:
            raise StageOrderError(
                f"{type(stage).__name__} (stage {position}) cannot learn from the float model: it is that "
                "very model, for no stage before has taken anything from it. Put it after a stage such as "
                "Prune, give the path of another model, or leave the teacher out."
            )
        changed = changed or not trains_only


def _names(stage: Stage) -> set[str]:
    return {kind.__name__ for kind in type(stage).__mro__}
