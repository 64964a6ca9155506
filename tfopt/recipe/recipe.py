"""A recipe: everything a run needs, in one value, from a Python file with `build(hp)`."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tfopt import _validation
from tfopt.errors import InvalidArgumentError, RecipeError
from tfopt.files import as_seen_from
from tfopt.recipe.data_source import DataSource, Source, reading, resolved
from tfopt.recipe.file import calling, load_recipe, source_of
from tfopt.recipe.trial import LocatedTrial, located
from tfopt.run.run_record import RecipeRecord

if TYPE_CHECKING:
    import keras
    import keras_tuner
    import tensorflow as tf

    from tfopt.distribute import Choice
    from tfopt.pipeline import Run
    from tfopt.pipeline.run_config import RunConfig
    from tfopt.pipeline.training.compilation import Compilation
    from tfopt.pipeline.training.pause import Gate
    from tfopt.stages import Stage

_STEPS = 1000
"""How many steps `declare` tells an optimizer, when all that matters is which hyperparameters it asks for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Data, model, optimizer and stages: a run that is still to be done.

    Args:
        data: a `tfopt.data.Dataset`, or what `tfopt.data.from_batches` takes; or a function that returns one,
            of a source that has a default: `def images(source="cifar10"): return
            tfopt.data.load(source, ...)`. It is called when the recipe is made, without arguments, or with
            what `--data` (`from_file(data=...)`) names. So data that is not used is not read either, and
            `--data` is read as the recipe needs it.
        model: a function that returns a `keras.Model`, of no arguments or of the data (to take
            `data.input_shape` and `data.num_classes` from it), or a model.
        optimizer: a function from a stage's number of training steps to a new Keras optimizer, called once
            for every stage that trains; or an optimizer, of which every stage gets a new one of the same
            config; or the name of one of Keras's, such as `"adam"`.
        stages: in order.
        callbacks: Keras callbacks for every training, copied for each; or a function that makes them.
        loss: as for `compile`; by default, for classes, sparse categorical cross-entropy of probabilities
            where the model ends in a softmax and of logits where it does not.
        metrics: as for `compile`; by default `["accuracy"]`, for classes. Loss or metrics may be a function
            of the data alone, `lambda data: [...]`, where they depend on it.
        loss_weights: as for `compile`: how much the loss of each output counts.
        batch_size: samples a step, over all replicas.
        seed: random seed, from 0.
        strategy: see `tfopt.distribute.resolve`.
        scale_learning_rate, precision, drop_remainder: see `tfopt.Pipeline.run`.
        jit_compile, steps_per_execution: as for `compile`.
        name: of the run; by default the recipe file's, else the data's.
        file: where the recipe was read from.
        hyperparameters: what `build` was called with.
        folder: where relative names of folders of runs begin; by default the current folder of the moment
            when `run` is called, and with `from_file` that of before the file was executed.

    Raises:
        StageOrderError: one stage would undo another.
        InvalidArgumentError: an argument is of the wrong kind.
    """

    data: Any  # a Dataset, once the recipe is made
    model: keras.Model | Callable[..., keras.Model]
    optimizer: str | keras.optimizers.Optimizer | Callable[[int], keras.optimizers.Optimizer]
    stages: Sequence[Stage]
    callbacks: Sequence[keras.callbacks.Callback] | Callable[[], Sequence[keras.callbacks.Callback]] = ()
    loss: Any = None
    metrics: Any = None
    loss_weights: Any = None
    batch_size: int = 64
    seed: int = 0
    strategy: str | tf.distribute.Strategy = "auto"
    scale_learning_rate: Literal["linear", "sqrt"] | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None
    drop_remainder: bool = False
    jit_compile: bool | Literal["auto"] = "auto"
    steps_per_execution: int = 1
    name: str | None = None
    file: str | None = None
    hyperparameters: keras_tuner.HyperParameters | None = dataclasses.field(default=None, repr=False)
    folder: Path | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        from tfopt.data.sources.batches import as_dataset
        from tfopt.pipeline.run_config import check_data
        from tfopt.stages.order import check_order

        check_order(self.stages)
        _validation.whole("Recipe", "steps_per_execution", self.steps_per_execution, at_least=1)
        _validation.choice("Recipe", "jit_compile", self.jit_compile, (True, False, "auto"))
        object.__setattr__(self, "data", as_dataset(resolved(self.data)))
        check_data("Recipe", self.data)
        if not callable(self.model):  # as a keras.Model is
            raise InvalidArgumentError(
                f"Recipe: model must be a function that returns a keras.Model, or one, got {self.model!r}."
            )
        if not (
            isinstance(self.optimizer, str) or callable(self.optimizer) or hasattr(self.optimizer, "apply")
        ):
            raise InvalidArgumentError(
                "Recipe: optimizer must be a Keras optimizer, the name of one, or a function of the number "
                f"of steps that returns one, got {self.optimizer!r}."
            )

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        values: Mapping[str, Any] | None = None,
        data: Source = None,
        *,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        optional: Collection[str] = (),
    ) -> Recipe:
        """Read a recipe file and call its `build(hp)`.

        Args:
            path: a Python file with `build(hp) -> tfopt.Recipe`; `hp` is keras-tuner's HyperParameters.
            values: hyperparameter -> value, in place of the defaults; text is converted.
            data: in place of the recipe's data: a dataset; or a source, which is read by the recipe's
                function where its data is one, and by `tfopt.data.load` where not.
            hyperparameters: call `build` with these, which get to know what the recipe asks for.
            optional: names of `values` that need not be hyperparameters of the recipe.

        Raises:
            RecipeError: there is no such file, it cannot be read, `build` is missing or fails, or a value
                is for no hyperparameter of the recipe or out of its range.
            TfoptError: whatever the parts of the recipe say about their arguments.
        """
        folder = Path.cwd()
        source = DataSource(data)
        build = load_recipe(path)
        import keras_tuner

        def make(hp: keras_tuner.HyperParameters) -> Recipe:
            with reading(source):
                recipe = build(hp)
                if not isinstance(recipe, Recipe):
                    raise RecipeError(
                        f"{path}: build(hp) must return a tfopt.Recipe, got {type(recipe).__name__}."
                    )
                changes: dict[str, Any] = {"file": os.fspath(path), "hyperparameters": hp, "folder": folder}
                return dataclasses.replace(recipe, **changes)

        if values:
            from tfopt.recipe.values import with_values

            return with_values(make, values, os.fspath(path), optional)
        return make(hyperparameters or keras_tuner.HyperParameters())

    @classmethod
    def from_trial(
        cls,
        trial: str | os.PathLike[str] | int,
        recipe: str | os.PathLike[str] | None = None,
        values: Mapping[str, Any] | None = None,
        data: Source = None,
    ) -> Recipe:
        """Return the recipe of a search with the values, the seed and the data of one of its trials.

        Its `run` gives what the trial gave; with the folder of the search's runs as `out`, it shows that run.

        Args:
            trial: the folder of a search and the number of a trial, such as
                `"saved_models/digits/search-12ab34cd/7"`; the folder alone for the best trial; or, with
                `recipe`, the number of a trial of its last search in `saved_models/<name>`.
            recipe: path of the recipe file; by default the search's, as it was given.
            values: hyperparameter -> value, in place of the trial's.
            data: in place of the search's.

        Raises:
            RunError: there is no such search or trial.
            RecipeError: as `from_file`.
        """
        return cls.from_located(cls.locate(trial, recipe), values, data)

    @classmethod
    def locate(
        cls, trial: str | os.PathLike[str] | int, recipe: str | os.PathLike[str] | None = None
    ) -> LocatedTrial:
        """Return the trial of a search, as `from_trial` takes it."""
        return located(trial, recipe, lambda: cls.from_file(str(recipe)).name or Path(str(recipe)).stem)

    @classmethod
    def from_located(
        cls,
        trial: LocatedTrial,
        values: Mapping[str, Any] | None = None,
        data: Source = None,
    ) -> Recipe:
        """Return the recipe of a trial that was found; see `from_trial`."""
        made = cls.from_file(**trial.arguments(values or {}, data))
        return made if trial.record.seed is None else dataclasses.replace(made, seed=trial.record.seed)

    def declare(self) -> keras_tuner.HyperParameters:
        """Return the hyperparameters that the recipe asks for, also those in its functions.

        A function asks for its hyperparameters when it is called; all are called here once.
        """
        import keras_tuner

        self._make_model()
        self._make_optimizer(_STEPS)
        if callable(self.callbacks):
            self.callbacks()
        return self.hyperparameters or keras_tuner.HyperParameters()

    def run(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        fresh: bool = False,
        strategy: str | tf.distribute.Strategy | None = None,
        seed: int | None = None,
        share: bool = False,
        gate: Gate | None = None,
        precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None,
        checkpoint_steps: int | None = None,
        quiet: bool = False,
    ) -> Run:
        """Run the recipe; see `tfopt.Pipeline.run` for what resumes and what is raised.

        Args:
            out: the folder of runs; by default `saved_models/<name>`.
            fresh: start anew although the same run exists.
            strategy, seed, precision: in place of the recipe's.
            share: take stages that another run of the same recipe file in `out` has done with the same
                model, data, settings, seed and machine, and let others take this run's. The result is the
                same. Of no effect with `fresh`, or without a recipe file.
            gate: asked whether the run goes on, see `tfopt.pipeline.training.pause`. The record of one that
                does not has the status `"stopped"`.
            checkpoint_steps: see `tfopt.Pipeline.run`.
            quiet: show no progress.
        """
        import keras
        from rich.console import Console

        from tfopt import distribute
        from tfopt.pipeline.execution import execute
        from tfopt.pipeline.preflight import planned

        out = None if out is None else _validation.path("Recipe.run", "out", out)
        folder = self.folder or Path.cwd()  # a model's function may change the current one
        seed = _validation.whole("Recipe", "seed", self.seed if seed is None else seed, at_least=0)
        choice = distribute.choose(self.strategy if strategy is None else strategy)
        with distribute.taking_part(choice.strategy):
            keras.utils.set_random_seed(seed)
            model = self._make_model()
            config = self._config(model, seed, choice, precision, checkpoint_steps)
            out = Path("saved_models", config.name) if out is None else out
            out = as_seen_from(folder, out)
            console = None if quiet else Console(stderr=True)
            source = None
            if share and not fresh and self.file is not None:
                source = source_of(as_seen_from(folder, Path(self.file)))
            return execute(
                planned(config, model), out, fresh=fresh, console=console, source=source, gate=gate
            )

    def new_model(self) -> keras.Model:
        """Return the model that a run starts from."""
        return self._make_model()

    def compilation(self, model: keras.Model) -> Compilation:
        """Return how a run that starts from `model` compiles its models."""
        return self._compilation(model)

    def metric_names(self) -> list[str]:
        """Return what a run measures on the validation split, as Keras calls it: the loss and the metrics.

        The model is built, compiled and evaluated on two samples. Without a loss there are none.

        Raises:
            TfoptError: as `run` does before it trains.
        """
        from tfopt import distribute
        from tfopt.data.structure import map_leaves
        from tfopt.pipeline.preflight import planned

        model = self._make_model()
        plan = planned(self._config(model, self.seed, distribute.choose("one_device")), model)
        compilation = plan.config.compilation
        if not compilation.judges(plan.model):
            return []
        compilation.compile_for_evaluation(plan.model)
        x, y = (map_leaves(lambda array: array[:2], part) for part in plan.config.data.split("validation"))
        found = plan.model.evaluate(x, y, batch_size=2, return_dict=True, verbose=0)
        return list(found)

    def _config(
        self,
        model: keras.Model,
        seed: int,
        choice: Choice,
        precision: Any = None,
        checkpoint_steps: int | None = None,
    ) -> RunConfig:
        """Return what a run that starts from `model` is told."""
        from tfopt.pipeline.run_config import RunConfig

        return RunConfig(
            caller="Recipe",
            name=self.name or (Path(self.file).stem if self.file else self.data.name),
            data=self.data,
            stages=tuple(self.stages),
            compilation=self._compilation(model),
            callbacks=self.callbacks,
            batch_size=self.batch_size,
            seed=seed,
            strategy=choice.strategy,
            reason=choice.reason,
            scale_learning_rate=self.scale_learning_rate,
            precision=self.precision if precision is None else precision,
            drop_remainder=self.drop_remainder,
            checkpoint_steps=checkpoint_steps,
            recipe=None if self.file is None else self._record,
        )

    def _record(self) -> RecipeRecord:
        values = {} if self.hyperparameters is None else dict(self.hyperparameters.values)
        return RecipeRecord(file=self.file, values=values)

    def _make_model(self) -> keras.Model:
        import keras

        if isinstance(self.model, keras.Model):
            return self.model
        required = [
            parameter
            for parameter in inspect.signature(self.model).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
        if len(required) > 1:
            raise RecipeError(
                f"{self._where}: model must be a function of no arguments or of the data, got one of "
                f"{', '.join(parameter.name for parameter in required)}."
            )
        build: Callable[..., keras.Model] = self.model
        model = calling(self._where, "model", lambda: build(self.data) if required else build())
        if not isinstance(model, keras.Model):
            raise RecipeError(f"{self._where}: model must return a keras.Model, got {type(model).__name__}.")
        return model

    def _make_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        import keras

        if isinstance(self.optimizer, keras.optimizers.Optimizer):
            return self.optimizer
        if isinstance(self.optimizer, str):
            return calling(self._where, "optimizer", lambda: keras.optimizers.get(self.optimizer))
        build: Callable[[int], keras.optimizers.Optimizer] = self.optimizer
        return calling(self._where, "optimizer", lambda: build(steps))

    def _compilation(self, model: keras.Model) -> Compilation:
        import keras

        from tfopt.pipeline.training.compilation import Compilation, cross_entropy, trains_itself

        own = trains_itself(model)
        loss, metrics = (self._of_data(given) for given in (self.loss, self.metrics))
        if not own and loss is None and self.data.num_classes is None:
            raise InvalidArgumentError(
                f"{self._where}: the data {self.data.name!r} has no classes, so the recipe needs a loss: "
                'such as loss="mean_squared_error".'
            )
        classes = self.data.num_classes is not None
        loss = cross_entropy(model) if loss is None and not own else loss
        metrics = (["accuracy"] if classes and not own else []) if metrics is None else metrics
        how: dict[str, Any] = {
            "loss_weights": self.loss_weights,
            "jit_compile": self.jit_compile,
            "steps_per_execution": self.steps_per_execution,
        }
        if isinstance(self.optimizer, keras.optimizers.Optimizer):
            return Compilation.of(loss, metrics, **how, optimizer=self.optimizer)
        return Compilation.of(loss, metrics, **how, make_optimizer=self._make_optimizer)

    def _of_data(self, given: Any) -> Any:
        """Return what a function of the data alone returns; a loss or metric takes two arguments."""
        if inspect.isfunction(given) and len(inspect.signature(given).parameters) == 1:
            return calling(self._where, "loss or metrics", lambda: given(self.data))
        return given

    @property
    def _where(self) -> str:
        return self.file or "Recipe"
