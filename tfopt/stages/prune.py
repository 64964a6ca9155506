"""The stage that makes weights zero."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from tfopt import _validation, backends, measure
from tfopt.callbacks.pruning_schedule import PruningSchedule
from tfopt.errors import InvariantError
from tfopt.pruning import Cubic
from tfopt.pruning.masks import Masked, masked
from tfopt.pruning.plan import Plan
from tfopt.pruning.prune import left_out, pruned_copy
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

_INSTEAD = ("pruning_schedule", "sparsity_m_by_n")


@dataclasses.dataclass(frozen=True)
class Prune(Stage):
    """Prunes by magnitude while training, along a cubic schedule (see `tfopt.prune`).

    Args:
        sparsity: the final share of zeros, in [0, 1).
        epochs: how long to train, 1 or more.
        scope: `"layer"` or `"global"`.
        rules: layer path pattern -> sparsity, or None to leave a layer alone.
        begin: the share of the stage's steps after which the sparsity rises, in [0, 1).
        end: the share after which it has reached `sparsity`; the rest trains what is left.
        frequency: steps from one rise to the next; None for 50 rises.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is the compiled one: what
            pruning takes away is trained anew, and a lower rate wins less of it back (Renda et al., 2020,
            arXiv 2003.02389; docs/pruning.md has our measurements).
        teacher: the model to distil from while training, as `tfopt.Distill` takes it, or a dict with its
            `model`, `temperature`, `student_weight` and `outputs`; None for none.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, trained by Keras 3; the model that
            comes out is the same kind.
        engine_options: as `tfopt.prune` takes them: JSON values.

    Raises:
        InvalidArgumentError: an argument is out of its range.
    """

    title: ClassVar[str] = "pruned"

    sparsity: float = 0.8
    _: dataclasses.KW_ONLY
    epochs: int = 6
    scope: Literal["layer", "global"] = "layer"
    rules: Mapping[str, float | None] | None = None
    begin: float = 0.0
    end: float = 0.7
    frequency: int | None = None
    learning_rate: float | None = None
    teacher: TeacherLike = None
    engine: Literal["keras", "tfmot"] = "keras"
    engine_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _validation.whole("Prune", "epochs", self.epochs, at_least=1)
        Plan(self.sparsity, self._schedule(), self.scope)
        if self.learning_rate is not None:
            _validation.number("Prune", "learning_rate", self.learning_rate, above=0)
        checked_teacher("Prune", self.teacher)
        backends.checked("Prune", self.engine, self.engine_options)

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the pruned and trained model; `record` gets the sparsity of each kernel."""
        pruned = pruned_copy(
            model,
            self.sparsity,
            schedule=None if self._unscheduled else self._schedule(),
            rules=self.rules,
            scope=self.scope,
            engine=self.engine,
            engine_options=self.engine_options,
        )
        context.fit(pruned, epochs=self.epochs, callbacks=[PruningSchedule()])
        if self.engine == backends.TFMOT:
            from tfopt import tfmot

            pruned = tfmot.strip(pruned)
        context.record["kernels"] = [
            {"layer": kernel.layer, "weights": kernel.weights, "zeros": kernel.zeros}
            for kernel in measure.layer_table(pruned)
        ]
        context.record["left_out"] = left_out(pruned)
        return pruned

    def check(self, before: keras.Model, after: keras.Model) -> None:
        """Raise where a pruned kernel of `before` has no mask in `after`, or where its zeros are gone.

        Masks are compared by how much they hold, for a later stage may rename, transpose and split layers.
        """
        present = masked(after)
        left = Counter(_content(entry) for entry in present)
        gone = []
        for entry in masked(before):
            if left[_content(entry)]:
                left[_content(entry)] -= 1
            else:
                gone.append(entry)
        # What was split is found by its parts together.
        parts = [content for content, count in left.items() for _ in range(count)]
        if gone and _sum(map(_content, gone)) != _sum(parts):
            raise InvariantError(
                f"The mask of the pruned layer {gone[0].kernel.path!r} is gone: the stage that ran last "
                "must keep the layer's kernel and its constraint. Leave the layer out of that stage by "
                "a rule, or put the stage before Prune. Where it loads or rebuilds the model, call "
                "tfopt.pruning.keep_zeros(model) at its end."
            )
        for entry in present:
            lost = np.count_nonzero(entry.weights[~entry.mask.value])
            if lost:
                raise InvariantError(
                    f"{lost} pruned weights of {entry.kernel.path!r} are no longer zero: something other "
                    "than an optimizer step changed them. Call tfopt.pruning.apply_masks(model) after it."
                )

    @property
    def _unscheduled(self) -> bool:
        """Whether the other engine is given a schedule, or a pattern that knows none."""
        return any((self.engine_options or {}).get(key) for key in _INSTEAD)

    def _schedule(self) -> Cubic:
        return Cubic(begin=float(self.begin), end=float(self.end), frequency=self.frequency)


def _content(entry: Masked) -> tuple[int, int]:
    """Return how many weights and zeros a mask has."""
    mask = entry.mask.value
    return mask.size, int(mask.size - np.count_nonzero(mask))


def _sum(contents: Iterable[tuple[int, int]]) -> tuple[int, int]:
    sizes, zeros = [0], [0]
    for size, zero in contents:
        sizes.append(size)
        zeros.append(zero)
    return sum(sizes), sum(zeros)
