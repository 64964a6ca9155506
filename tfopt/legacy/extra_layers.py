"""Layers of Keras 2 that Keras 3 lacks, or has and does not show."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.legacy.allowed import is_allowed
from tfopt.legacy.locally_connected import LocallyConnected1D, LocallyConnected2D
from tfopt.legacy.template import from_template


@keras.saving.register_keras_serializable(package="tfopt")
class ThresholdedReLU(keras.layers.Layer):
    """Returns `x` where it is above `theta`, else 0."""

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.theta = float(theta)

    def call(self, inputs: Any) -> Any:
        """Return the values above the threshold."""
        return inputs * keras.ops.cast(inputs > self.theta, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return super().get_config() | {"theta": self.theta}


@keras.saving.register_keras_serializable(package="tfopt")
class TensorFlowFunction(keras.layers.Layer):
    """Calls a function of TensorFlow's public API that `keras.ops` has no equal for.

    Args:
        symbol: its name without `tf.`, such as `"math.betainc"`.
        template: a list of the positional arguments and a dict of the others, as `to_template` has them, with
            `{"__input__": n}` in the place of the n-th input.

    Raises:
        InvalidArgumentError: the function reaches out of the model, as `"io.write_file"` does.
    """

    def __init__(self, symbol: str, template: list[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not is_allowed(symbol):
            raise InvalidArgumentError(
                f"The layer {self.name!r} would call tf.{symbol}, which can reach out of the model. Expected "
                "a function of tensors, such as math.cumsum. Do not load this model if you do not trust it."
            )
        self.symbol = symbol
        self.template = template

    def call(self, inputs: list[Any]) -> Any:
        """Return what the function makes of the inputs."""
        function: Any = tf
        for name in self.symbol.split("."):
            function = getattr(function, name)
        args, kwargs = from_template(self.template, inputs)
        return function(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return super().get_config() | {"symbol": self.symbol, "template": self.template}


def _of_an_application(builder: str, name: str) -> type[keras.layers.Layer]:
    """Return a layer that stands in the module of one of `keras.applications` and is not exported."""
    module = importlib.import_module(getattr(keras.applications, builder).__module__)
    return getattr(module, name)


EXTRA: Mapping[str, type[keras.layers.Layer]] = {
    "CustomScaleLayer": _of_an_application("InceptionResNetV2", "CustomScaleLayer"),
    "FixedDropout": keras.layers.Dropout,
    "LocallyConnected1D": LocallyConnected1D,
    "LocallyConnected2D": LocallyConnected2D,
    "LayerScale": _of_an_application("ConvNeXtTiny", "LayerScale"),
    "StochasticDepth": _of_an_application("ConvNeXtTiny", "StochasticDepth"),
    "ThresholdedReLU": ThresholdedReLU,
}
"""Class in Keras 2 -> class in Keras 3, for those that `keras.layers` does not have."""
