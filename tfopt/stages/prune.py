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
from tfopt.errors import InvalidArgumentError, InvariantError
from tfopt.pruning import ConstantSparsity, Cubic, OneShot, RigL, left_out, lottery_ticket, prune
from tfopt.pruning.masks import Masked, masked
from tfopt.pruning.plan import sparsity_of
from tfopt.pruning.prune import pruned_copy
from tfopt.pruning.request import Request
from tfopt.pruning.schedules import Schedule
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

_INSTEAD = ("pruning_schedule", "sparsity_m_by_n")
_SCHEDULES = ("cubic", "constant", "one_shot", "rigl", "lottery_ticket")


@dataclasses.dataclass(frozen=True)
class Prune(Stage):
    """Makes weights zero while training, by default by magnitude along a cubic schedule (see `tfopt.prune`).

    Args:
        sparsity: the final share of zeros, in [0, 1). None is 0.8, or what a pattern N:M leaves no choice of.
        epochs: how long to train, 1 or more; with `schedule="lottery_ticket"` in each round.
        schedule: `"cubic"` (`tfopt.pruning.Cubic`); `"constant"` (`ConstantSparsity`); `"rigl"` (`RigL`);
            `"one_shot"`: all at once, at `begin`; `"lottery_ticket"`: train, prune, put the weights that are
            left back to early values, several times (`tfopt.pruning.lottery_ticket`).
        pattern, criterion, distribution, seed: as `tfopt.prune` takes them.
        scope: `"layer"` or `"global"`, the older name of the distributions `"uniform"` and `"global"`.
        rules: layer path pattern -> sparsity, or None to leave a layer alone.
        begin: the share of the stage's steps after which the sparsity rises, in [0, 1).
        end: the share after which it has reached `sparsity`; the rest trains what is left.
        frequency: steps from one change of the masks to the next; None for 50 changes.
        regrow: whether pruned weights may come back on the cubic schedule.
        fraction: of `"rigl"`, the share of live weights that the first change replaces, in (0, 1].
        rounds: of `"lottery_ticket"`, how often to prune, 1 or more.
        rewind_epochs: of `"lottery_ticket"`, how many epochs to train before the values are kept that weights
            go back to, 0 or more.
        samples: of the training split, spread evenly, for what is measured before training (`"snip"`,
            `"taylor"` at once, `"sensitivity"`), 1 or more.
        batch_size: how many of them at once, 1 or more.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is the compiled one: what
            pruning takes away is trained anew, and a lower rate wins less of it back (Renda et al., 2020,
            arXiv 2003.02389; docs/pruning.md has our measurements).
        teacher: the model to distil from while training, as `tfopt.Distill` takes it, or a dict with its
            `model`, `temperature`, `student_weight` and `outputs`; None for none.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, trained by Keras 3; the model that
            comes out is the same kind.
        engine_options: as `tfopt.prune` takes them: JSON values.

    Raises:
        InvalidArgumentError: an argument is out of its range, or two do not go together.
    """

    title: ClassVar[str] = "pruned"
    keeps_size: ClassVar[bool] = True

    sparsity: float | None = None
    _: dataclasses.KW_ONLY
    epochs: int = 6
    schedule: Literal["cubic", "constant", "one_shot", "rigl", "lottery_ticket"] = "cubic"
    pattern: str | None = None
    criterion: str = "magnitude"
    distribution: Literal["uniform", "global", "erk", "sensitivity"] | None = None
    scope: Literal["layer", "global"] = "layer"
    rules: Mapping[str, Any] | None = None
    begin: float = 0.0
    end: float = 0.7
    frequency: int | None = None
    regrow: bool = False
    fraction: float = 0.3
    rounds: int = 3
    rewind_epochs: int = 0
    samples: int = 512
    batch_size: int = 32
    seed: int = 0
    learning_rate: float | None = None
    teacher: TeacherLike = None
    engine: Literal["keras", "tfmot"] = "keras"
    engine_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _validation.choice("Prune", "schedule", self.schedule, _SCHEDULES)
        for name, least in (
            ("epochs", 1),
            ("rounds", 1),
            ("rewind_epochs", 0),
            ("samples", 1),
            ("batch_size", 1),
        ):
            _validation.whole("Prune", name, getattr(self, name), at_least=least)
        # What a run records is what was done.
        object.__setattr__(self, "sparsity", sparsity_of(self.sparsity, self.pattern))
        request = self._request()
        if self.learning_rate is not None:
            _validation.number("Prune", "learning_rate", self.learning_rate, above=0)
        checked_teacher("Prune", self.teacher)
        backends.checked("Prune", self.engine, self.engine_options)
        if self.engine != backends.KERAS and self.schedule != "cubic":
            raise InvalidArgumentError(
                f'Prune: schedule={self.schedule!r} is for engine="keras", got engine={self.engine!r}. Leave '
                'it "cubic", or give engine_options={"pruning_schedule": ...}.'
            )
        if request.reason_for_data and self.samples < self.batch_size:
            raise InvalidArgumentError(
                f"Prune: {request.reason_for_data} is measured on batches of {self.batch_size} of "
                f"{self.samples} samples: give more samples, or a smaller batch_size."
            )

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the pruned and trained model; `record` gets the sparsity of each kernel."""
        if self.engine == backends.TFMOT:
            pruned = self._by_tfmot(model, context)
        elif self.schedule == "lottery_ticket":
            pruned = self._by_lottery_ticket(model, context)
        else:
            pruned, _ = pruned_copy(model, self._request(), **self._data(model, context))
            context.fit(pruned, epochs=self.epochs, callbacks=[PruningSchedule()])
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

    def _by_tfmot(self, model: keras.Model, context: Context) -> keras.Model:
        from tfopt import tfmot

        # Its own schedules, and a pattern that knows none, take the place of ours.
        unscheduled = any((self.engine_options or {}).get(key) for key in _INSTEAD)
        wrapped = prune(
            model,
            self.sparsity,
            schedule=None if unscheduled else self._schedule(),
            pattern=self.pattern,
            criterion=self.criterion,
            distribution=self.distribution,
            rules=self.rules,
            scope=self.scope,
            engine=self.engine,
            engine_options=self.engine_options,
        )
        context.fit(wrapped, epochs=self.epochs, callbacks=[PruningSchedule()])
        return tfmot.strip(wrapped)

    def _by_lottery_ticket(self, model: keras.Model, context: Context) -> keras.Model:
        data = self._data(model, context)

        def train(ticket: keras.Model) -> None:
            context.fit(ticket, epochs=self.epochs, callbacks=[PruningSchedule()] if masked(ticket) else [])

        if self.rewind_epochs:
            context.fit(model, epochs=self.rewind_epochs)
        request = self._request()
        return lottery_ticket(
            model,
            train,
            request.sparsity,
            rounds=self.rounds,
            pattern=self.pattern,
            criterion=self.criterion,  # type: ignore[arg-type]
            distribution=request.chosen_distribution,  # type: ignore[arg-type]
            rules=self.rules,
            seed=self.seed,
            **data,
        )

    def _data(self, model: keras.Model, context: Context) -> dict[str, Any]:
        """Return the arguments of what is measured before training; compile the model with the run's loss."""
        if self._request().reason_for_data is None:
            return {}
        context.compile_for_evaluation(model)
        x, y = context.data.split("train")
        count = len(keras.tree.flatten(x)[0])
        chosen = np.linspace(0, count - 1, min(self.samples, count)).astype(int)
        part = keras.tree.map_structure(lambda array: array[chosen], (x, y))
        return {"data": part, "batch_size": self.batch_size}

    def _request(self) -> Request:
        return Request(
            sparsity=self.sparsity,
            schedule=self._schedule(),
            pattern=self.pattern,
            criterion=self.criterion,
            distribution=self.distribution,
            scope=self.scope,
            rules=self.rules,
            seed=self.seed,
        )

    def _schedule(self) -> Schedule | None:
        begin, end = float(self.begin), float(self.end)
        # Whichever it is, what is out of range is told.
        cubic = Cubic(begin=begin, end=end, frequency=self.frequency, regrow=self.regrow)
        if self.schedule == "constant":
            return ConstantSparsity(begin=begin, end=end, frequency=self.frequency)
        if self.schedule == "rigl":
            return RigL(begin=begin, end=end, frequency=self.frequency, fraction=self.fraction)
        if self.schedule == "one_shot":
            return OneShot(at=begin) if begin else None
        return cubic if self.schedule == "cubic" else None


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
