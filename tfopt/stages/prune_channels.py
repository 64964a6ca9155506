"""The stage that removes channels."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tfopt import _validation
from tfopt.errors import InvariantError, RunError
from tfopt.files import write_atomically
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

if TYPE_CHECKING:
    import keras

    from tfopt.channels.planning.plan import ChannelPlan
    from tfopt.channels.planning.settings import ChannelSettings
    from tfopt.channels.planning.step import Step
    from tfopt.data import Dataset

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PruneChannels(Stage):
    """Removes channels and trains what is left (see `tfopt.prune_channels`).

    Args:
        ratio: the share of the channels to remove, in (0, 1); or a budget:
        macs, params, bytes, latency: as `tfopt.prune_channels` takes them.
        scheme: of the file whose bytes and latency are limited; `None` is that of the pipeline: of
            `ExportTFLite`, or of `QuantizeAware`.
        epochs: how long to train after that, at least one for each iteration.
        iterations: in how many steps to remove them, 1 or more; each is followed by its part of the epochs.
            What is kept falls by equal factors.
        importance, normalization, scope, allocation, rules, round_to, min_share: as `tfopt.prune_channels`
            takes them; criteria that look at samples do so on the training split.
        sparse_epochs: how long to train with `tfopt.channels.group_lasso` before the first step, 0 or more.
        sparse_strength, sparse_growth: of that penalty.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is the compiled one: what
            is taken away is trained anew, as after `Prune`.
        teacher: the model to distil from while training, as `tfopt.Distill` takes it, or a dict with its
            `model`, `temperature`, `student_weight` and `outputs`; None for none.

    Raises:
        InvalidArgumentError: an argument is out of its range, or there is no goal.
    """

    title: ClassVar[str] = "channels pruned"

    ratio: float | None = None
    _: dataclasses.KW_ONLY
    macs: float | str | None = None
    params: float | str | None = None
    bytes: float | str | None = None
    latency: float | str | None = None
    scheme: str | None = None
    epochs: int = 6
    iterations: int = 1
    importance: str = "l2"
    normalization: Literal["mean", "max", "none"] = "mean"
    scope: Literal["global", "local"] = "global"
    allocation: Literal["global", "uniform", "sensitivity"] = "global"
    rules: Mapping[str, float | None] | None = None
    round_to: int | None = 8
    min_share: float = 0.1
    sparse_epochs: int = 0
    sparse_strength: float = 1e-4
    sparse_growth: float = 4.0
    learning_rate: float | None = None
    teacher: TeacherLike = None

    def __post_init__(self) -> None:
        _validation.whole("PruneChannels", "iterations", self.iterations, at_least=1)
        _validation.whole("PruneChannels", "epochs", self.epochs, at_least=self.iterations)
        _validation.whole("PruneChannels", "sparse_epochs", self.sparse_epochs, at_least=0)
        _validation.number("PruneChannels", "sparse_strength", self.sparse_strength, above=0)
        _validation.number("PruneChannels", "sparse_growth", self.sparse_growth, at_least=0)
        if self.learning_rate is not None:
            _validation.number("PruneChannels", "learning_rate", self.learning_rate, above=0)
        checked_teacher("PruneChannels", self.teacher)
        self._settings()

    def preflight(self, model: keras.Model, data: Dataset, loss: Any, scheme: str) -> None:
        """Raise where rules match nothing, nothing can be removed, or a budget is out of reach."""
        from tfopt.channels.importance import samples_for
        from tfopt.channels.planning.decide import decide

        samples_for(self.importance, data, loss)
        # What can be reached does not depend on which channels are important.
        settings = dataclasses.replace(self._settings(scheme), importance="random")
        decide(model, settings, data=data)

    def costs_at_least(self, model: keras.Model, costs: Mapping[str, float]) -> Mapping[str, float]:
        """Return what is left with each group at its least width, where no stage before changed the model."""
        from tfopt import measure
        from tfopt.channels.planning.least import least_costs

        whole = {"macs": measure.macs(model), "params": model.count_params()}
        if any(costs.get(name) != value for name, value in whole.items()):
            return {}
        return least_costs(model, self._settings())

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the smaller and trained model; `record` gets the widths of each group."""
        from tfopt.channels import group_lasso

        if self.sparse_epochs:
            model = group_lasso(model, self.sparse_strength, growth=self.sparse_growth)
            context.fit(model, epochs=self.sparse_epochs)
        plans: list[ChannelPlan] = []
        for number in range(1, self.iterations + 1):
            plan = self._plan(model, context, number, plans)
            plans.append(plan)
            with model.distribute_strategy.scope():
                model = plan.apply()
            context.fit(model, epochs=self._epochs_of(number))
        context.record["channels"] = _record(plans)
        return model

    def check(self, before: keras.Model, after: keras.Model) -> None:
        """Raise where a kernel of `before` has another shape in `after`.

        Kernels are compared by path; those that a later stage renames or splits are not.
        """
        found = _shapes(after)
        for path, shape in _shapes(before).items():
            if path in found and found[path] != shape:
                raise InvariantError(
                    f"The kernel of {path!r} had the sizes {shape} after PruneChannels and has "
                    f"{found[path]}: the stage that ran last must keep the widths. Put it before "
                    "PruneChannels."
                )

    def _epochs_of(self, number: int) -> int:
        """Return how many epochs follow a step, so that all together are `epochs`."""
        return self.epochs * number // self.iterations - self.epochs * (number - 1) // self.iterations

    def _settings(self, scheme: str = "float32", seed: int = 0) -> ChannelSettings:
        from tfopt.channels.planning.settings import ChannelSettings

        names = (field.name for field in dataclasses.fields(ChannelSettings))
        told = {name: getattr(self, name) for name in names if hasattr(self, name) and name != "scheme"}
        return ChannelSettings(**told, scheme=self.scheme or scheme, seed=seed, caller="PruneChannels")

    def _plan(
        self, model: keras.Model, context: Context, number: int, earlier: list[ChannelPlan]
    ) -> ChannelPlan:
        """Return what a step removes: what was decided before the run was cut off, or what is decided now."""
        from tfopt.channels.planning import plan_file

        path = context.directory / f"channels-{number}.json"
        made: list[ChannelPlan] = []

        def decided() -> str:
            made.append(self._decided(model, context, path, self._step(number, earlier)))
            return plan_file.to_json(made[0])

        content = context.once(decided)
        plan = made[0] if made else plan_file.from_json(content, model)
        write_atomically(path, content)
        return plan

    def _decided(self, model: keras.Model, context: Context, path: Path, step: Step | None) -> ChannelPlan:
        """Return the plan in the file `path`, or a new one where it is missing or damaged."""
        from tfopt.channels.planning import plan_file
        from tfopt.channels.planning.decide import decide
        from tfopt.channels.planning.speed import warn_unless_faster

        if path.exists():
            try:
                return plan_file.from_json(path.read_text(), model)
            except RunError as error:
                logger.warning("%s %s is written anew.", error, path)
        settings = self._settings(context.scheme, context.seed)
        plan = decide(model, settings, data=context.data, loss=context.loss, step=step)
        if self.iterations == 1:  # several steps are for removing much
            warn_unless_faster(plan, self.scheme or context.scheme)
        return plan

    def _step(self, number: int, earlier: list[ChannelPlan]) -> Step | None:
        """Return how far a step goes; None for the only one."""
        from tfopt.channels.planning.step import Step

        if self.iterations == 1:
            return None
        progress = number / self.iterations
        return Step.after(earlier, progress) if earlier else Step(progress=progress)


def _record(plans: list[ChannelPlan]) -> dict[str, Any]:
    """Return what a run records: from the widths before the first step to those after the last."""
    first, last = plans[0], plans[-1]
    after = {group.name: group.after for group in last.groups}
    return {
        "widths": [
            {
                "group": group.name,
                "layers": list(group.layers),
                "before": group.before,
                "after": after.get(group.name, group.after),
            }
            for group in first.groups
        ],
        "costs": {name: [before, last.costs[name][1]] for name, (before, _) in first.costs.items()},
        "frozen": dict(last.frozen),
    }


def _shapes(model: keras.Model) -> dict[str, list[int]]:
    """Return path -> the sizes of a kernel without those of 1: a layer may become a convolution."""
    from tfopt.measure.kernels import kernels

    return {
        kernel.path: sorted(size for size in kernel.variable.shape if size != 1) for kernel in kernels(model)
    }
