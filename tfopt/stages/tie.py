"""The stage that makes several layers one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tfopt import _validation, graph
from tfopt.errors import InvariantError
from tfopt.measure.kernels import prunable
from tfopt.sharing.plan import checked_rules, planned
from tfopt.sharing.tie import INITS, tied
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

if TYPE_CHECKING:
    import keras

    from tfopt.data import Dataset


@dataclasses.dataclass(frozen=True)
class Tie(Stage):
    """Makes the layers of each group one layer that is called several times, then trains (see `tfopt.tie`).

    Args:
        rules: layer path pattern -> the name of a group, or None for layers that are left as they are.
        init: the weights of the one layer: `"first"` or `"mean"`.
        epochs: how long to train, 0 or more; 0 where a stage that trains follows.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is the compiled one: much
            is to be learned anew.
        teacher: the model to distil from while training, as `tfopt.Distill` takes it, or a dict with its
            `model`, `temperature`, `student_weight` and `outputs`; None for none.

    Raises:
        InvalidArgumentError: an argument is out of its range.
    """

    title: ClassVar[str] = "tied"

    rules: Mapping[str, str | None]
    _: dataclasses.KW_ONLY
    init: Literal["first", "mean"] = "first"
    epochs: int = 0
    learning_rate: float | None = None
    teacher: TeacherLike = None

    def __post_init__(self) -> None:
        checked_rules(self.rules)
        _validation.choice("Tie", "init", self.init, INITS)
        _validation.whole("Tie", "epochs", self.epochs, at_least=0)
        if self.learning_rate is not None:
            _validation.number("Tie", "learning_rate", self.learning_rate, above=0)
        checked_teacher("Tie", self.teacher)

    def preflight(self, model: keras.Model, data: Dataset, loss: Any, scheme: str) -> None:  # noqa: ARG002
        """Raise where rules match nothing, or name layers that cannot be one."""
        planned(model, self.rules)

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the model of fewer layers, trained; `record` gets the groups."""
        groups = planned(model, self.rules)
        context.record["tied"] = [
            {"group": group.name, "layers": list(group.paths), "weights": group.spared} for group in groups
        ]
        result = tied(model, groups, self.init)
        if self.epochs:
            context.fit(result, epochs=self.epochs)
        return result

    def check(self, before: keras.Model, after: keras.Model) -> None:
        """Raise where a layer that `before` calls several times is called fewer times in `after`."""
        had, has = _calls(before), _calls(after)
        sizes, sizes_after = _sizes(before), _sizes(after)
        for path, count in had.items():
            parts = {part for part in sizes_after if _is_of(part, path)}
            fewer = has.get(path, count) < count
            weights = sum(size for part, size in sizes.items() if _is_of(part, path))
            weights_after = sum(sizes_after[part] for part in parts)
            if count > 1 and (fewer or weights_after > weights):
                lost = f"is called {has[path]}" if fewer else f"its {weights} weights are {weights_after}"
                raise InvariantError(
                    f"The layer {path!r} was called {count} times, and {lost}: the stage that ran last made "
                    "several layers of it, whose weights train apart. Leave the layer out of that stage by a "
                    "rule, or put the stage before Tie."
                )


def _is_of(path: str, whole: str) -> bool:
    """Return whether a path is that of the layer that had the path `whole`, or of a part of it."""
    return path == whole or path.startswith((f"{whole}/", f"{whole}."))


def _calls(model: keras.Model) -> dict[str, int]:
    """Return how often each layer with kernels is called, by its path."""
    calls: dict[str, int] = {}
    for node in graph.nodes(model):
        if any(len(weight.shape) > 1 for weight in getattr(node.operation, "trainable_weights", ())):
            calls[node.path] = calls.get(node.path, 0) + 1
    return calls


def _sizes(model: keras.Model) -> dict[str, int]:
    """Return how many weights the kernels at each path have, each variable once."""
    sizes: dict[str, int] = {}
    for kernel in prunable(model):
        sizes[kernel.path] = sizes.get(kernel.path, 0) + math.prod(kernel.variable.shape)
    return sizes
