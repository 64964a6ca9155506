"""The base of the stages: data that says how a model is made better."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tfopt.errors import RunError

if TYPE_CHECKING:
    import keras

    from tfopt.data import Dataset
    from tfopt.export import TFLiteModel


class Context(Protocol):
    """The services of a pipeline for a stage that runs."""

    data: Dataset
    loss: Any
    """Of the run, as `compile` takes it; None where the model computes its own."""
    scheme: str
    """Of the file that the pipeline ends with, by name."""
    seed: int
    directory: Path
    """The stage's own folder; what is written here belongs to the run."""
    record: dict[str, Any]
    """What the stage has to say in `run.json`: JSON values only."""

    def fit(
        self,
        model: keras.Model,
        *,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        """Compile `model` as the run asks and train it, resuming at the epoch where it was cut off.

        `callbacks` run before the run's own ones (checkpoint, history, progress), so that what they
        put into `logs` and change in the model is recorded and saved. Where the stage has a `teacher`, the
        model learns from it too.
        """

    def once(self, make: Callable[[], str]) -> str:
        """Return the text that `make` returns; where several processes do the stage, the chief's for all.

        For a decision that two processes could make differently, such as one by a measured latency.
        """

    def teacher(self, model: str = "float") -> keras.Model:
        """Return the model of the run before anything was taken from it, or that of a `.keras` file.

        The first is that of the `Train` stages which the pipeline begins with, or the model as given.
        """

    def compile_for_evaluation(self, model: keras.Model) -> None:
        """Compile `model` with the loss and metrics of the run, and no optimizer."""

    def export(self, file: TFLiteModel | bytes) -> Path:
        """Write a TFLite file as the result of the stage, in place of a Keras model, and return its path.

        The run measures the file, and the pipeline ends here. Files that a stage writes by itself, whatever
        their names, are by-products: the run continues with the model that `apply` returns.
        """


@dataclasses.dataclass(frozen=True)
class Stage:
    """Base of the stages: a frozen dataclass whose fields are JSON values.

    A stage holds no state: everything it makes is in the model that it returns, in what it gives to
    `context.export`, in `context.directory` or in `context.record`.
    """

    title: ClassVar[str]
    """The name of the resulting model in the report, such as `"pruned"`."""
    keeps_size: ClassVar[bool] = False
    """Whether the model that it returns surely has the layers and shapes of the one that it took."""
    fine_tuning: ClassVar[float] = 1.0
    """The factor of the compiled learning rate where the model is trained already, above 0. A
    field `learning_rate` that is not `None` is the stage's highest rate.

    A field `teacher` that is not `None` says whom every training of the stage learns from; it has the form of
    `tfopt.stages.teaching.TeacherLike`, and `__post_init__` checks it with `checked_teacher`."""

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the better model. `model` may be used up."""
        raise NotImplementedError

    def preflight(self, model: keras.Model, data: Dataset, loss: Any, scheme: str) -> None:
        """Raise where the stage cannot do with `model` what it is told.

        Called before anything is trained, where only stages that change no layer come before this one.

        Args:
            model: the one that the pipeline starts with.
            data, loss, scheme: as in the context.
        """

    def costs_at_least(
        self,
        model: keras.Model,  # noqa: ARG002
        costs: Mapping[str, float],
    ) -> Mapping[str, float]:
        """Return metric -> what the model costs at least after the stage; empty where nobody can say.

        Called before anything is trained, to tell that a budget cannot be met.

        Args:
            model: the one that the pipeline starts with.
            costs: what it costs at least before the stage, of `"macs"` and `"params"`.
        """
        return costs if self.keeps_size else {}

    def check(self, before: keras.Model, after: keras.Model) -> None:
        """Raise `InvariantError` where `after` has lost what this stage made in `before`.

        Called once for each later stage, with the models that it took and returned.
        """

    def get_config(self) -> dict[str, Any]:
        """Return the class name and the fields, for `run.json`."""
        return {"class": type(self).__name__, **dataclasses.asdict(self)}


def from_config(config: dict[str, Any], classes: dict[str, Callable[..., Stage]]) -> Stage:
    """Return the stage that `Stage.get_config` described; `classes` maps names to stage classes."""
    fields = dict(config)
    name = fields.pop("class", None)
    if name not in classes:
        raise RunError(f"Unknown stage {name!r}; known are {', '.join(sorted(classes))}.")
    return classes[name](**fields)
