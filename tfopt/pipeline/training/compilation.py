"""How the models of a run are compiled: the same loss and metrics each time, a new optimizer each time."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline.training.learning_rate import StageRate
from tfopt.pipeline.training.precision import scaled
from tfopt.run.stage_record import LearningRateRecord

AS_COMPILED = StageRate()


@dataclass(frozen=True)
class Compilation:
    """The arguments of `keras.Model.compile`, as a recipe for making them anew.

    Attributes:
        config: what `keras.Model.get_compile_config` returns, with or without an optimizer.
        make_optimizer: number of steps -> optimizer, instead of the one in `config`.
    """

    config: dict[str, Any]
    make_optimizer: Callable[[int], keras.optimizers.Optimizer] | None = None

    @classmethod
    def of_model(cls, model: keras.Model) -> Compilation:
        """Return how `model` is compiled.

        Raises:
            InvalidArgumentError: it is not, or without a loss though its class has no training step of its
                own, or with something that Keras cannot save or that its own `compile` does not take.
        """
        if not isinstance(model, keras.Model):
            raise InvalidArgumentError(
                f"model must be a keras.Model, got {model!r}. Load a file with keras.models.load_model(path)."
            )
        if not getattr(model, "compiled", False) or (model.loss is None and not trains_itself(model)):
            raise InvalidArgumentError(
                f"The model {model.name!r} has no loss, so the stages do not know how to train it. "
                'Call model.compile(optimizer=..., loss=..., metrics=["accuracy"]) first.'
            )
        config = model.get_compile_config()
        if not config:
            raise InvalidArgumentError(
                f"The model {model.name!r} is compiled with something that Keras cannot save. Register "
                "your loss and metrics with @keras.saving.register_keras_serializable()."
            )
        if "compile" in graph.own_training(model):
            _check_own_compile(model, config)
        return cls(config)

    @classmethod
    def of(
        cls,
        loss: Any,
        metrics: Any,
        loss_weights: Any = None,
        *,
        jit_compile: bool | str = "auto",
        steps_per_execution: int = 1,
        optimizer: keras.optimizers.Optimizer | None = None,
        make_optimizer: Callable[[int], keras.optimizers.Optimizer] | None = None,
    ) -> Compilation:
        """Return the compilation with these arguments, with one of the two for the optimizer."""
        _check_names(loss, keras.losses.get, "loss", ())
        _check_names(metrics, keras.metrics.get, "metric", _OWN_METRICS)
        arguments = {"loss": loss, "metrics": metrics}
        if loss_weights is not None:
            arguments["loss_weights"] = loss_weights
        # What is left as Keras has it is no part of the fingerprint of a run.
        if jit_compile != "auto":
            arguments["jit_compile"] = jit_compile
        if steps_per_execution != 1:
            arguments["steps_per_execution"] = steps_per_execution
        if optimizer is not None:
            arguments["optimizer"] = optimizer
        return cls(keras.saving.serialize_keras_object(arguments), make_optimizer)

    def for_outputs(self, model: keras.Model) -> Compilation:
        """Return the compilation with what is given by the name of a single output given without it.

        Stages may put an operation after that output, and Keras calls it by the last one's name.
        """
        if len(model.outputs) != 1 or isinstance(output_of(model), dict):
            return self
        name = output_names(model)[0]
        kept = ("loss", "loss_weights", "metrics", "weighted_metrics")
        config = {
            key: value[name] if key in kept and isinstance(value, dict) and list(value) == [name] else value
            for key, value in self.config.items()
        }
        return dataclasses.replace(self, config=config)

    def compile(
        self,
        model: keras.Model,
        steps: int,
        rate: StageRate = AS_COMPILED,
        optimizer: keras.optimizers.Optimizer | None = None,
    ) -> LearningRateRecord | None:
        """Compile `model` for a training of `steps` steps; its optimizer is built and at its start.

        Args:
            model: the model.
            steps: how many.
            rate: what is done to the learning rate.
            optimizer: one that nothing has trained with; by default a new one.

        Returns:
            The learning rate, see `StageRate.apply`.
        """
        arguments = self._arguments()
        optimizer = self.optimizer(steps) if optimizer is None else optimizer
        rates = rate.apply(optimizer, steps)
        arguments["optimizer"] = scaled(model, optimizer)
        model.compile(**arguments)
        model.optimizer.build(model.trainable_variables)
        return rates

    def loss(self) -> Any:
        """Return the loss as `compile` takes it, made anew; None where the model computes its own."""
        return self._arguments().get("loss")

    def judges(self, model: keras.Model) -> bool:
        """Return whether `model` can be evaluated: it has a loss, compiled or of its own."""
        own = graph.own_training(model)
        return self.config.get("loss") is not None or "test_step" in own or "compute_loss" in own

    def takes_rows(self) -> bool:
        """Return whether the loss is one of Keras's that compares rows with rows, not with integer labels."""
        name = self._loss_of_keras()
        return name is not None and "sparse" not in name

    def is_regression(self) -> bool:
        """Return whether the loss is one of Keras's that measures how far numbers are from others."""
        name = self._loss_of_keras() or ""
        return any(word in name for word in ("squared", "absolute", "huber", "logcosh"))

    def from_logits(self) -> bool:
        """Return whether the loss takes the model's outputs for logits, not for probabilities."""
        loss = self._loss()
        return isinstance(loss, keras.losses.Loss) and bool(loss.get_config().get("from_logits", False))

    def _loss(self) -> Any:
        loss = self._arguments().get("loss")
        if loss is None or isinstance(loss, dict | list | tuple):
            return None
        try:
            return keras.losses.get(loss)
        except ValueError:
            return None

    def _loss_of_keras(self) -> str | None:
        """Return the name of the loss as lower-case letters, if it is one of Keras's."""
        loss = self._loss()
        if loss is None:
            return None
        modules = (type(loss).__module__, getattr(loss, "__module__", ""))
        if not any(module.startswith("keras.") for module in modules):
            return None
        return str(getattr(loss, "__name__", type(loss).__name__)).lower().replace("_", "")

    def compile_for_evaluation(self, model: keras.Model) -> None:
        """Compile `model` with loss and metrics only."""
        arguments = self._arguments()
        wanted = ("loss", "loss_weights", "metrics", "weighted_metrics")
        model.compile(**{name: arguments[name] for name in wanted if name in arguments})

    def optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Return a new optimizer for a training of `steps` steps.

        Raises:
            InvalidArgumentError: the recipe's callable returned something else.
        """
        if self.make_optimizer is None:
            return self._arguments()["optimizer"]
        optimizer = self.make_optimizer(steps)
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise InvalidArgumentError(
                f"optimizer(steps) must return a Keras optimizer, got {optimizer!r}. Return one such as "
                "tfopt.optimizers.Adan(1e-3)."
            )
        return optimizer

    def _arguments(self) -> dict[str, Any]:
        # Keras puts objects into the config of an optimizer that it reads; in ours they would have a new
        # address, and so a run another fingerprint, each time.
        return keras.saving.deserialize_keras_object(copy.deepcopy(self.config))


_OWN_METRICS = ("accuracy", "acc", "crossentropy", "ce")
"""Names that Keras resolves by the model's output and loss."""


def _check_names(given: Any, get: Callable[[str], Any], what: str, known: tuple[str, ...]) -> None:
    """Raise where a loss or metric is given by a name that Keras does not know."""
    for name in keras.tree.flatten(given):
        if isinstance(name, str) and name not in known:
            try:
                get(name)
            except ValueError as error:
                raise InvalidArgumentError(
                    f"Keras knows no {what} {name!r}: give another name, an object or a function."
                ) from error


def output_names(model: keras.Model) -> list[str]:
    """Return what Keras calls the outputs of a model in losses and metrics; a Sequential has one."""
    output = output_of(model)
    if isinstance(output, dict):
        return sorted(output)
    return list(getattr(model, "output_names", None) or [model.layers[-1].name])


def output_of(model: keras.Model) -> Any:
    """Return the symbolic outputs in their structure, also of a Sequential that was never called."""
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def trains_itself(model: keras.Model) -> bool:
    """Return whether the class of `model` has a training step or a loss of its own."""
    return any(name in graph.own_training(model) for name in ("train_step", "compute_loss", "fit"))


def _check_own_compile(model: keras.Model, config: dict[str, Any]) -> None:
    """Raise unless the `compile` of the model's class takes what Keras knows of how it was called."""
    try:
        inspect.signature(model.compile).bind(**config)
    except TypeError as error:
        raise InvalidArgumentError(
            f"The model {model.name!r} has a compile() of its own ({type(model).__name__}.compile), and the "
            f"stages cannot call it: {error}. Keras keeps the arguments of keras.Model.compile alone. Take "
            "the others in __init__, with get_config() to save them, and leave compile() as Keras has it."
        ) from error


def cross_entropy(model: keras.Model) -> keras.losses.Loss:
    """Return the loss for integer labels, of probabilities or of logits as the model returns them.

    Keras's default takes what it is given for probabilities, and a model that returns logits learns
    nothing right then, without a word.
    """
    last = graph.nodes(model)[-1].operation
    activation = getattr(last, "activation", None)
    probabilities = activation is keras.activations.softmax or type(last).__name__ == "Softmax"
    return keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
