"""Convolutions with a kernel of its own at every place, which Keras 3 has dropped."""

from __future__ import annotations

from typing import Any

import keras


class _LocallyConnected(keras.layers.Layer):
    """Base of the layers for sequences and images, which differ in the number of axes alone.

    Args:
        filters: how many values come out at every place.
        kernel_size, strides: an int, or one for every axis.
        activation: a function or its name.
        use_bias: whether there is a bias, which is of every place's own too.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
        bias_constraint: as those of `keras.layers.Conv2D`.
    """

    axes = 2

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = self._of_axes(kernel_size)
        self.strides = self._of_axes(strides)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def _of_axes(self, value: Any) -> tuple[int, ...]:
        return (value,) * self.axes if isinstance(value, int) else tuple(value)

    def build(self, input_shape: tuple) -> None:
        """Make a kernel for every place of the output."""
        places = self.compute_output_shape(input_shape)[1:-1]
        inputs = input_shape[-1]
        for size in self.kernel_size:
            inputs *= size
        count = 1
        for size in places:
            count *= size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(count, inputs, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(*places, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Any) -> Any:
        """Multiply what lies around every place by the kernel of that place."""
        places = self.compute_output_shape(inputs.shape)[1:-1]
        missing = (1,) * (2 - self.axes)
        images = inputs if self.axes == 2 else keras.ops.expand_dims(inputs, 2)
        patches = keras.ops.image.extract_patches(
            images, (*self.kernel_size, *missing), (*self.strides, *missing), padding="valid"
        )
        patches = keras.ops.reshape(patches, (-1, self.kernel.shape[0], self.kernel.shape[1]))
        outputs = keras.ops.einsum("bpi,pif->bpf", patches, self.kernel)
        outputs = keras.ops.reshape(outputs, (-1, *places, self.filters))
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the output, which is that of a convolution without padding."""
        sizes = zip(input_shape[1:-1], self.kernel_size, self.strides, strict=True)
        return (
            input_shape[0],
            *((size - kernel) // stride + 1 for size, kernel, stride in sizes),
            self.filters,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


@keras.saving.register_keras_serializable(package="tfopt")
class LocallyConnected1D(_LocallyConnected):
    """A 1-D convolution without padding whose kernel is another one at every place."""

    axes = 1


@keras.saving.register_keras_serializable(package="tfopt")
class LocallyConnected2D(_LocallyConnected):
    """A 2-D convolution without padding whose kernel is another one at every place."""
