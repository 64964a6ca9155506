"""The stage that makes kernels products of smaller ones."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras

from tfopt import _validation
from tfopt.budgets import Budgets
from tfopt.errors import InvariantError
from tfopt.export.untrained import check_scheme
from tfopt.factorization.build import FACTOR
from tfopt.factorization.candidates import METHODS, Method
from tfopt.factorization.low_rank import decided
from tfopt.factorization.targets import Setting, Target, check_rules
from tfopt.files import write_atomically
from tfopt.measure.kernels import prunable
from tfopt.rules import wholes
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

if TYPE_CHECKING:
    from tfopt.data import Dataset
    from tfopt.factorization.decision import Decision

RANKS_FILE = "ranks.json"
"""In the stage's folder: what was chosen, so that a stage that is resumed trains the same layers."""


@dataclasses.dataclass(frozen=True)
class LowRank(Stage):
    """Makes kernels products of smaller ones, then trains them (see `tfopt.low_rank`).

    Args:
        ratio, energy, rank, macs, params, bytes, latency, rules, method: as `tfopt.low_rank` takes them; JSON
            values.
        scheme: of the file whose bytes and latency are limited; `None` is that of the pipeline: of
            `ExportTFLite`, or of `QuantizeAware`.
        sensitivity: whether losses are measured on training samples, where there are budgets.
        epochs: how long to train, 1 or more.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is the compiled one: as in
            `Prune`, much is to be learned anew.
        teacher: the model to distil from while training, as `tfopt.Distill` takes it, or a dict with its
            `model`, `temperature`, `student_weight` and `outputs`; None for none.

    Raises:
        InvalidArgumentError: an argument is out of its range.
    """

    title: ClassVar[str] = "low rank"

    ratio: float | None = None
    _: dataclasses.KW_ONLY
    energy: float | None = None
    rank: int | None = None
    macs: float | str | None = None
    params: float | str | None = None
    bytes: float | str | None = None
    latency: float | str | None = None
    rules: Mapping[str, Setting] | None = None
    method: Method = "tucker"
    scheme: str | None = None
    sensitivity: bool = False
    epochs: int = 6
    learning_rate: float | None = None
    teacher: TeacherLike = None

    def __post_init__(self) -> None:
        _validation.whole("LowRank", "epochs", self.epochs, at_least=1)
        _validation.choice("LowRank", "method", self.method, METHODS)
        _validation.flag("LowRank", "sensitivity", self.sensitivity)
        if self.learning_rate is not None:
            _validation.number("LowRank", "learning_rate", self.learning_rate, above=0)
        checked_teacher("LowRank", self.teacher)
        if self.scheme is not None:
            check_scheme(self.scheme)
        check_rules(self.rules)
        self._target()

    def preflight(self, model: keras.Model, data: Dataset, loss: Any, scheme: str) -> None:  # noqa: ARG002
        """Raise where rules match nothing, no layer can be factorized, or a budget is out of reach."""
        self._decided(model, scheme)

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the factorized and trained model; `record` gets the plan, layer by layer."""
        path = context.directory / RANKS_FILE
        data = context.data if self.sensitivity else None
        made: list[Decision] = []

        def ranks() -> str:
            chosen = json.loads(path.read_text()) if path.exists() else None
            made.append(self._decided(model, context.scheme, data, chosen))
            return json.dumps(made[0].ranks())

        content = context.once(ranks)
        decision = made[0] if made else self._decided(model, context.scheme, data, json.loads(content))
        plan = decision.plan()
        write_atomically(path, content)
        context.record["layers"] = [layer.to_dict() for layer in plan.layers]
        factorized = decision.built()
        context.fit(factorized, epochs=self.epochs)
        return factorized

    def check(self, before: keras.Model, after: keras.Model) -> None:
        """Raise where factors of `before` are gone in `after`, or have more weights."""
        found: dict[str, int] = {}
        for kernel in prunable(after):
            for path in wholes(kernel.path):
                found[path] = found.get(path, 0) + math.prod(kernel.variable.shape)
        for kernel in prunable(before):
            if not re.search(rf"{FACTOR}\d+_*$", kernel.path):
                continue
            had, has = math.prod(kernel.variable.shape), found.get(kernel.path, 0)
            if not has or has > had:
                lost = "is gone" if not has else f"had {had} weights and has {has}"
                raise InvariantError(
                    f"The factor {kernel.path!r} {lost}: the stage that ran last multiplied it out or "
                    "replaced it. Leave the layer out of that stage by a rule, or put the stage before "
                    "LowRank."
                )

    def _decided(
        self,
        model: keras.Model,
        scheme: str,
        data: Dataset | None = None,
        chosen: Mapping[str, Sequence[int] | None] | None = None,
    ) -> Decision:
        return decided(
            model,
            self._target(),
            rules=self.rules,
            method=self.method,
            scheme=self.scheme or scheme,
            data=data,
            chosen=chosen,
        )

    def _target(self) -> Target:
        budgets = Budgets(macs=self.macs, params=self.params, bytes=self.bytes, latency=self.latency)
        return Target(ratio=self.ratio, energy=self.energy, rank=self.rank, budgets=budgets)
