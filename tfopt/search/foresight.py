"""What is known of a trial before anything is trained, so that one that cannot be feasible costs nothing.

Only what is certain counts. Stages that keep a model's layers and sizes leave its multiply-accumulates and
weights as they are; channels that are removed leave a known least; what other stages do, nobody can say
beforehand. The bytes of the file are those of the untrained model in the recipe's scheme, where no stage
changes its size.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfopt.errors import TfoptError, UnsupportedModel
from tfopt.search.goals.bounds import Bound

if TYPE_CHECKING:
    import keras

    from tfopt.recipe.recipe import Recipe
    from tfopt.stages import Stage

logger = logging.getLogger(__name__)

_FILE_MARGIN = 0.98
"""Names of layers and alignment make files of the same weights differ by less than this leaves."""


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """What is known of a trial before it trains.

    Attributes:
        least: cost -> what it will be at least.
        refused: why its model cannot be made what the recipe asks for; `None` where it can.
    """

    least: Mapping[str, float] = field(default_factory=dict)
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why a trial is not run.

    Attributes:
        reason: in one line.
        violations: constraint -> by how much it is missed at least, of those that something is known of.
        least: cost -> what it would have been at least.
    """

    reason: str
    violations: Mapping[str, float]
    least: Mapping[str, float]


class RejectedTrialError(Exception):
    """A trial is not run.

    Attributes:
        rejection: why.
    """

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.reason)
        self.rejection = rejection


def rejected(known: Foresight, bounds: Collection[Bound]) -> Rejection | None:
    """Return why a trial need not be run; `None` where it may be feasible.

    Args:
        known: of the trial.
        bounds: what limits trials.
    """
    limits = [bound for bound in bounds if bound.option == "max" and bound.metric in known.least]
    violations = {bound.name: bound.violation(known.least) for bound in limits}
    if known.refused is not None:
        return Rejection(reason=known.refused, violations=violations, least=dict(known.least))
    missed = [bound for bound in limits if violations[bound.name] > 0]
    if not missed:
        return None
    reason = ", ".join(bound.told(known.least[bound.metric]) for bound in missed)
    return Rejection(reason=reason, violations=violations, least=dict(known.least))


def foreseen(recipe: Recipe, limited: Collection[str]) -> Foresight:
    """Return what is known of a run of a recipe before it trains.

    Args:
        recipe: with its hyperparameters.
        limited: the costs that matter.

    Raises:
        RecipeError: the recipe's functions fail.
    """
    model = recipe.new_model()
    if refused := _refused(recipe.stages, model):
        return Foresight(refused=refused)
    least: dict[str, float] = {}
    if "epochs" in limited and not recipe.callbacks:  # one of these may stop a training early
        least["epochs"] = sum(_epochs(stage) for stage in recipe.stages)
    if {"macs", "params", "bytes"} & {*limited}:
        least |= _sizes(recipe.stages, model, with_file="bytes" in limited)
    return Foresight(least={name: value for name, value in least.items() if name in limited})


def _epochs(stage: Stage) -> int:
    return sum(getattr(stage, name, 0) or 0 for name in ("epochs", "sparse_epochs"))


def _refused(stages: Collection[Stage], model: keras.Model) -> str | None:
    """Return why a stage cannot make of the model what it is told, where operations alone decide that."""
    from tfopt.quantization import plan
    from tfopt.stages import QuantizeAware

    for stage in stages:
        if isinstance(stage, QuantizeAware) and stage.engine == "keras":
            try:
                plan(model, stage.scheme, rules=stage.rules)
            except UnsupportedModel as error:
                return str(error).splitlines()[0]
    return None


def _sizes(stages: Collection[Stage], model: keras.Model, *, with_file: bool) -> dict[str, float]:
    """Return the least macs, params and bytes that a run's file can have; less where less is known."""
    from tfopt import measure

    try:
        costs: Mapping[str, float] = {"macs": measure.macs(model), "params": model.count_params()}
    except TfoptError as error:  # a size that is open, such as that of an image
        logger.info("what the model costs is not known before it trains: %s", error)
        return {}
    for stage in stages:
        costs = stage.costs_at_least(model, costs)
    found = dict(costs)
    if with_file and all(stage.keeps_size for stage in stages):
        size = _file_size(stages, model)
        if size is not None:
            found["bytes"] = size
    return found


def _file_size(stages: Collection[Stage], model: keras.Model) -> float | None:
    """Return a little less than the bytes of the untrained model's file; `None` where that says nothing."""
    from tfopt.export.untrained import untrained
    from tfopt.stages import ExportTFLite, QuantizeAware
    from tfopt.stages.file_scheme import scheme_of_file

    for stage in stages:
        # Rules may give a layer fewer bits than the scheme has; what is sparse depends on the training.
        if isinstance(stage, ExportTFLite | QuantizeAware) and stage.rules:
            return None
        if isinstance(stage, ExportTFLite) and stage.sparse:
            return None
        if isinstance(stage, QuantizeAware) and not isinstance(stage.scheme, str):
            return None
    try:
        return _FILE_MARGIN * len(untrained(model, scheme_of_file(list(stages)), None))
    except TfoptError as error:
        logger.info("the size of the file is not known before the model trains: %s", error)
        return None
