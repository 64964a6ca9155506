"""A tf_keras layer that runs a layer or an operation of Keras 3.

Importing this module imports tf_keras, so only functions that use it do.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from tfopt.legacy.settings import settings_of


@tf_keras.saving.register_keras_serializable(package="tfopt", name="KerasThree")
class KerasThree(tf_keras.layers.Layer):
    """Runs what tf_keras lacks: a Keras 3 layer or operation, with the very variables of that layer.

    It trains, and is saved by its Keras 3 config; a file that holds it loads after
    `import tfopt.legacy.hosted`.

    Args:
        operation: a Keras 3 layer or operation, or the config that `keras.saving.serialize_keras_object`
            made of it. A layer must be built.
    """

    def __init__(self, operation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(operation, dict):
            operation = keras.saving.deserialize_keras_object(operation)
        self.hosted = operation
        self._track()
        self.supports_masking = True
        taken = inspect.signature(operation.call).parameters
        self._takes_training, self._takes_mask = "training" in taken, "mask" in taken
        if getattr(operation, "losses", None):
            self.add_loss(lambda: tf.add_n(operation.losses))

    def call(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Run the hosted layer or operation."""
        if self._takes_training:
            kwargs["training"] = training
        if not self._takes_mask:  # Keras 2 gives one to every layer that takes any argument
            kwargs.pop("mask", None)
        outputs = self.hosted(inputs, *args, **kwargs)
        self._track()
        return outputs

    def _track(self) -> None:
        """Tell tf_keras of the variables, which a layer may make as late as in its first call."""
        variables = [variable.value for variable in getattr(self.hosted, "weights", [])]
        if len(variables) > len(getattr(self, "_hosted_variables", [])):
            self._hosted_variables = variables

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the output: that which the hosted layer has."""
        passes = getattr(self.hosted, "supports_masking", False)
        return self.hosted.compute_mask(inputs, mask) if passes else None

    @property
    def restored(self) -> list[tf.Variable]:
        """The variables that reading a SavedModel has put next to those of the hosted layer."""
        own = {id(variable) for variable in self._hosted_variables}
        return [variable for variable in self.weights if id(variable) not in own]

    def get_config(self) -> dict[str, Any]:
        """Return the config, with that of the hosted layer in it."""
        return super().get_config() | {"operation": keras.saving.serialize_keras_object(self.hosted)}


def stand_in(name: str, kind: type[keras.Layer]) -> type[KerasThree]:
    """Return a tf_keras class called `name` that reads such a layer's config and runs Keras 3's `kind`."""

    def from_config(cls: type[KerasThree], config: dict[str, Any]) -> KerasThree:
        unknown = {"batch_input_shape", "dtype"} - settings_of(kind)
        layer = kind.from_config({key: value for key, value in config.items() if key not in unknown})
        return cls(layer, name=layer.name, trainable=layer.trainable)

    return type(name, (KerasThree,), {"from_config": classmethod(from_config)})


def lambda_layers(functions: Mapping[str, Any]) -> type[tf_keras.layers.Lambda]:
    """Return a tf_keras class that reads `Lambda` layers, with `functions` by layer name for theirs."""

    class NamedLambda(tf_keras.layers.Lambda):
        @classmethod
        def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> tf_keras.layers.Lambda:
            if config["name"] not in functions:
                return tf_keras.layers.Lambda.from_config(config, custom_objects)
            arguments = config.get("arguments") or {}
            return tf_keras.layers.Lambda(functions[config["name"]], arguments=arguments, name=config["name"])

    return NamedLambda
