"""A model that tensorflow-model-optimization has wrapped, as a Keras 3 model.

Keras 3's `Variable` keeps a `tf.Variable` that it is given. A layer that runs the tf_keras model and lists
its variables so is trained by Keras 3: `fit`, any optimizer, callbacks, strategies.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from tfopt import graph
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.export.keras_graph.inputs_outputs import names
from tfopt.legacy import to_legacy
from tfopt.measure.kernels import Kernel, kernels
from tfopt.pruning.mask import SparsityMask, mask_of
from tfopt.tfmot import pruning
from tfopt.tfmot.callbacks import UpdatePruningStep
from tfopt.tfmot.decomposed import DEPTHWISE, POINTWISE
from tfopt.tfmot.methods import METHODS
from tfopt.tfmot.module import generator_states, layers, weight
from tfopt.tfmot.ranges import Range, fit_to_weights, tapped
from tfopt.tfmot.recipe import WrappingRecipe, unmasked


@keras.saving.register_keras_serializable(package="tfopt")
class TFMOTModel(keras.layers.Layer):
    """Runs a model that tensorflow-model-optimization has wrapped, on variables that it shares with it.

    It takes the inputs of the model as a list and returns its outputs likewise, or the only one. It is saved
    by the recipe that made it and by its weights. Masks of kernels that were pruned before hold on.

    Args:
        recipe: how the model is made.
        model: the Keras 3 model that the recipe describes, where the caller has it.
    """

    tfopt_bridge = True
    """What tells packages below this one that the layer has kernels, a source and masks of its own."""

    def __init__(self, recipe: WrappingRecipe, model: keras.Model | None = None, **kwargs: Any) -> None:
        trainable = kwargs.pop("trainable", True)
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.recipe = recipe
        self.strategy = tf.distribute.get_strategy()
        """Where its variables live; between steps, what changes them must run in its scope."""
        model = recipe.model() if model is None else model
        method = METHODS[recipe.method]
        source = unmasked(model)
        source = method.prepare(source) if method.prepare else source
        self.module = method.wrap(to_legacy(source), recipe.options)
        self.tfopt_quantizer = recipe.method == "quantize"
        self._ranges = tapped(self.module) if self.tfopt_quantizer else []
        fit_to_weights(self.module)
        self.driven = False
        """Whether a callback tells the model of the steps of the training, which pruning needs."""

        # Listed as trainable or not by what the variables are, then switched off where a layer is frozen, so
        # that the order in which they are saved does not depend on it.
        variables = {id(each): each for each in [*self.module.weights, *generator_states(self.module)]}
        paths = _paths(model, self.module)
        by_id = {key: _shared(variable, paths.get(key, "")) for key, variable in variables.items()}
        self.shared = [*by_id.values()]
        live = {id(each) for each in self.module.trainable_weights}
        for key, variable in by_id.items():
            variable.trainable = key in live
        self._kernels = _find_kernels(model, self.module, by_id)
        self.built = True
        if not trainable:
            self.trainable = False

    @property
    def trainable(self) -> bool:
        """Whether the layer trains; passed on to the tf_keras model."""
        return keras.layers.Layer.trainable.fget(self)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.layers.Layer.trainable.fset(self, value)
        self.module.trainable = value

    def call(self, inputs: list[Any], training: bool | None = None) -> Any:
        """Run the tf_keras model.

        Raises:
            InvalidArgumentError: the model is to be pruned while it trains, and no callback tells it of the
                steps.
        """
        if training and not self.driven and self.scheduled:
            raise InvalidArgumentError(
                "This model is to be pruned while it trains, and nothing raises its sparsity: compile it "
                "again and pass callbacks=[tfopt.callbacks.PruningSchedule()] to fit."
            )
        outputs = self.module(inputs[0] if len(inputs) == 1 else list(inputs), training=bool(training))
        for loss in self.module.losses:
            self.add_loss(loss)
        flat = tf.nest.flatten(outputs)
        return flat[0] if len(flat) == 1 else flat

    def compute_output_spec(self, inputs: list[Any], training: bool | None = None) -> Any:  # noqa: ARG002
        """Return the symbolic outputs; nothing is run."""
        flat = [
            keras.KerasTensor(tuple(each.shape), keras.backend.standardize_dtype(each.dtype.name))
            for each in self.module.outputs
        ]
        return flat[0] if len(flat) == 1 else flat

    @property
    def scheduled(self) -> bool:
        """Whether sparsity rises while the model trains."""
        return self.recipe.method == "prune" and self.recipe.options["scheduled"]

    def source(self) -> keras.Model:
        """Return the Keras 3 model that was wrapped, with weights that mean nothing."""
        return self.recipe.model()

    def kernels(self, path: str) -> list[Kernel]:
        """Return the kernels that training changes, under the paths that they have in the wrapped model."""
        return [
            dataclasses.replace(
                each, path=f"{path}/{each.path}", layer=self, constraint_attribute=None, group=None
            )
            for each in self._kernels
        ]

    def quantizers(self) -> list[tuple[str, Range]]:
        """Return (name, range) of the activations that are quantized."""
        return list(self._ranges)

    def pruning_callback(self) -> keras.callbacks.Callback:
        """Return the callback that drives pruning, and whose own model is this layer's."""
        return UpdatePruningStep(self)

    def apply_masks(self) -> None:
        """Make every pruned weight zero again."""
        with self.strategy.scope():
            pruning.apply_masks(self.module)

    def lower(self) -> keras.Layer:
        """Return the layer to export: this one, whose rounding the converter reads, in float32."""
        recipe = self.recipe.in_float32()
        if recipe == self.recipe:
            return self
        lowered = TFMOTModel(recipe, name=self.name)
        lowered.set_weights(self.get_weights())
        return lowered

    def tfopt_copy(self) -> TFMOTModel:
        """Return a layer that runs a model of its own, wrapped by the same recipe, with the same weights."""
        new = TFMOTModel.from_config(self.get_config())
        new.set_weights(self.get_weights())
        return new

    def get_config(self) -> dict[str, Any]:
        """Return the recipe."""
        config = super().get_config()
        config.pop("dtype")
        return config | {"recipe": dataclasses.asdict(self.recipe)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TFMOTModel:
        """Wrap the same model again; the weights follow."""
        return cls(**config | {"recipe": WrappingRecipe(**config["recipe"])})


def bridged(model: keras.Model, method: str, options: dict[str, Any]) -> keras.Model:
    """Return the Keras 3 model that runs `model` wrapped by a method of tensorflow-model-optimization.

    Inputs and outputs keep their names and structure; between them stands one `TFMOTModel`.

    Raises:
        InvalidArgumentError: `model` is bridged already.
        UnsupportedModel: it is subclassed.
        UnsupportedOperation: a layer of it is not taken.
    """
    graph.require_functional(model)
    if bridge_of(model) is not None:
        raise InvalidArgumentError(
            f"The model {model.name!r} is wrapped by tensorflow-model-optimization already: train it, and "
            "call tfopt.tfmot.strip(model) before the next step."
        )
    _refuse_lambdas(model)
    sequential = isinstance(model, keras.Sequential)
    with model.distribute_strategy.scope():
        recipe = WrappingRecipe.of(
            model, method, options, with_weights=METHODS[method].needs_weights(options)
        )
        layer = TFMOTModel(recipe, model, name=f"{model.name}_{method}")
        inputs = keras.tree.map_structure(
            lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name),
            model.inputs[0] if sequential else model.input,
        )
        flat = keras.tree.flatten(layer(keras.tree.flatten(inputs)))
        # Losses and metrics of several outputs go by the names of the layers that make them.
        named = [
            keras.layers.Identity(name=name, dtype=tensor.dtype)(tensor)
            for name, tensor in zip(names(model)[1], flat, strict=True)
        ]
        outputs = named[0] if sequential else keras.tree.pack_sequence_as(model.output, named)
        return keras.Model(inputs, outputs, name=model.name)


def bridge_of(model: keras.Model) -> TFMOTModel | None:
    """Return the layer that runs the wrapped model; None where `model` has none."""
    return next((layer for _, layer in graph.layers(model) if isinstance(layer, TFMOTModel)), None)


def _refuse_lambdas(model: keras.Model) -> None:
    for path, layer in graph.layers(model):
        if isinstance(layer, keras.layers.Lambda) and _is_lambda(layer.get_config()["function"]):
            raise UnsupportedOperation(
                f"The layer {path!r} is a Lambda of a Python lambda, which cannot be read back from the "
                "recipe that the wrapped model is saved by. Write it with keras.ops, or as a layer that is "
                "registered with @keras.saving.register_keras_serializable()."
            )


def _is_lambda(function: Any) -> bool:
    return isinstance(function, dict) and function.get("class_name") == "__lambda__"


def _shared(variable: tf.Variable, path: str) -> keras.Variable:
    """Return the Keras variable that holds a `tf.Variable`, with its constraint.

    Args:
        variable: of the wrapped model.
        path: of its layer in the model that was wrapped: rules of optimizers and callbacks go by it.
    """
    parents, _, layer = path.rpartition("/")
    with keras.name_scope(layer, override_parent=parents):
        name = variable.name.partition(":")[0].replace("/", ".")
        shared = keras.Variable(variable, trainable=variable.trainable, name=name)
    constraint = getattr(variable, "constraint", None)
    if constraint is not None:
        shared.constraint = lambda value: constraint(tf.convert_to_tensor(value))
    return shared


def _paths(model: keras.Model, module: Any) -> dict[int, str]:
    """Return `id(tf.Variable)` of the wrapped model -> path of its layer in `model`."""
    paths: dict[str, str] = {}
    for path, _ in graph.layers(model):
        flat = path.replace("/", ".")
        paths |= dict.fromkeys((flat, flat + DEPTHWISE, flat + POINTWISE), path)
    return {
        id(variable): paths.get(place.replace("/", "."), place)
        for place, layer in layers(module)
        for variable in layer.weights
    }


def _find_kernels(model: keras.Model, module: Any, shared: dict[int, keras.Variable]) -> list[Kernel]:
    """Return the kernels of `model` as the wrapped model holds them, masked where they were."""
    places = dict(layers(module))
    found = []
    for kernel in kernels(model):
        path = kernel.layer_path.replace("/", ".")
        part = DEPTHWISE if kernel.variable.name.startswith("depthwise") else POINTWISE
        known = (kernel.layer_path, path, path + part)
        layer = next((places[each] for each in known if each in places), None)
        shape = tuple(kernel.variable.shape)
        variable = None if layer is None else weight(layer, kernel.variable.name, shape)
        mask = mask_of(kernel.variable)
        if variable is None:
            if mask is not None:
                raise UnsupportedOperation(
                    f"tensorflow-model-optimization splits the pruned layer {kernel.path!r} "
                    f"({type(kernel.layer).__name__}), so its zeros could not be kept. Leave the layer out "
                    'by a rule, or use engine="keras".'
                )
            continue
        held = shared[id(variable)]
        if mask is not None:
            held.constraint = SparsityMask(mask.value, mask.constraint, mask.plan)
        found.append(dataclasses.replace(kernel, variable=held))
    return found
