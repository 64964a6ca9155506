"""A layer whose weights are quantized whenever they are used."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.quantization import fake_quantize, weight_grids
from tfopt.quantization.clusters import kept_clusters
from tfopt.quantization.gate import Gate, gated
from tfopt.quantization.layer_weights import Weights, required_weights
from tfopt.quantization.scheme import Scheme, SchemeLike, scheme_of


@dataclasses.dataclass(frozen=True, eq=False)
class Codes:
    """The integers that a file is to hold for the weights of a layer.

    Attributes:
        values: int8 in columns, `(weights, channels)`.
        bits: of the scheme; a file may need more for one.
    """

    values: np.ndarray
    bits: int


@keras.saving.register_keras_serializable(package="tfopt")
class WeightQuantizer(keras.layers.Wrapper):
    """Runs a layer with its weights on the grid of a scheme; the float weights are what training changes.

    The inner layer keeps its variables, constraints and regularizers, so that a pruned kernel stays
    pruned. Biases stay in float: a file holds them in 32 bits.

    Args:
        layer: a layer with a kernel, or an Embedding.
        scheme: a name, a `Scheme` or its config. Its activations are of no concern here.
        seed: of stochastic rounding; None takes one from Keras's global seed.

    Raises:
        InvalidArgumentError: there is no such scheme.
        UnsupportedOperation: the layer has no weights that a scheme is for.
    """

    tfopt_quantizer = True
    tfopt_wrapper = True
    gate: Gate | None = None

    def __init__(
        self, layer: keras.Layer, scheme: SchemeLike = "int8", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(layer, **kwargs)
        self.scheme: Scheme = scheme_of(scheme)
        self.seed_generator = (
            keras.random.SeedGenerator(seed) if self.scheme.rounding == "stochastic" else None
        )

    def build(self, input_shape: Any) -> None:
        """Build the layer, and the steps where they are trained."""
        super().build(input_shape)
        self.step = None
        if self.scheme.weight_range == "lsq" and self.scheme.weight_bits is not None:
            channels = weight_grids.columns(*self._weights())[0].shape[1]
            self.step = self.add_weight(
                name="step",
                shape=(channels,),
                initializer="ones",
                constraint=_Positive(),
                dtype="float32",
                autocast=False,
            )

    def start_steps(self) -> None:
        """Set trained steps to what suits the weights as they are now."""
        if self.step is not None:
            rows, _ = weight_grids.columns(*self._weights())
            self.step.assign(weight_grids.first_step(rows, self._bits))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Call the layer with the quantized weights in place of the weights."""
        if self.scheme.weight_bits is None:
            return self.layer(inputs)
        variable, _ = self._variable()
        quantized = self.quantized(training=bool(training))
        if training and self.gate is not None:
            quantized = gated(self.gate, tf.cast(variable.value, tf.float32), lambda: quantized)
        with keras.StatelessScope([(variable, quantized)], collect_losses=True) as scope:
            outputs = self.layer(inputs)
        for loss in scope.losses:  # an activity regularizer's
            self.add_loss(loss)
        return outputs

    def quantized(self, training: bool = False) -> tf.Tensor:
        """Return the weights on their grid, float32 in their own shape.

        Args:
            training: whether stochastic rounding is.
        """
        variable, axes = self._weights()
        scheme, bits = self.scheme, self._bits
        if scheme.weight_range == "max" and not (training and self.seed_generator):
            return fake_quantize.weights(variable, axes, bits)
        rows, back = weight_grids.columns(variable, axes)
        if scheme.weight_range == "mean":
            return back(weight_grids.binary(rows) if bits == 1 else weight_grids.ternary(rows))
        rounded: weight_grids.Round = weight_grids.nearest
        if training and self.seed_generator:
            rounded = weight_grids.stochastic(keras.random.uniform(rows.shape, seed=self.seed_generator))
        return back(weight_grids.on_grid(rows, self._steps(rows), bits, rounded))

    def codes(self) -> Codes:
        """Return the integers of the weights as they are now, of a scheme that has integers for them."""
        variable, axes = self._weights()
        rows, _ = weight_grids.columns(variable, axes)
        _, own_axes = self._variable()
        quantized, _ = weight_grids.columns(self.quantized(), axes)
        integers = np.rint(quantized.numpy() / self._steps(rows).numpy())
        shaped = weight_grids.columns(variable, axes)[1](integers)
        return Codes(
            values=weight_grids.columns(shaped, own_axes)[0].numpy().astype(np.int8),
            bits=self._bits,
        )

    def steps(self) -> np.ndarray:
        """Return the distance of two neighbouring weights in each channel, float64; one number for all."""
        rows, _ = weight_grids.columns(*self._weights())
        return np.asarray(self._steps(rows).numpy(), np.float64)

    @property
    def leaves_the_grid_to_the_converter(self) -> bool:
        """Whether TensorFlow's converter finds the very same grid by itself."""
        scheme = self.scheme
        return (scheme.weight_bits, scheme.per_channel, scheme.weight_range) == (8, True, "max") and (
            scheme.activation_bits is not None
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return what the layer returns."""
        return self.layer.compute_output_shape(input_shape)

    def lower(self) -> keras.Layer:
        """Return the layer without quantization, its weights on their grid where the converter's is another.

        With the fake quantization left in, conversion fails for Dense layers.
        """
        config = self.layer.get_config() | {"dtype": "float32", "name": self.name}
        bare = type(self.layer).from_config(config)
        bare.build(self.layer.get_build_config()["input_shape"])
        bare.set_weights(self.layer.get_weights())
        if self.scheme.weight_bits is not None and not self.leaves_the_grid_to_the_converter:
            variable, _ = required_weights(bare)
            variable.assign(self.quantized())
        return bare

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "scheme": self.scheme.get_config()}

    @property
    def _bits(self) -> int:
        return self.scheme.weight_bits or 8

    def _variable(self) -> Weights:
        return required_weights(self.layer)

    def _weights(self) -> tuple[tf.Tensor, tuple[int, ...]]:
        """Return the weights in float32 and the axes that number their grids."""
        variable, axes = self._variable()
        values = tf.cast(variable.value, tf.float32)
        clusters = kept_clusters(variable.constraint)
        if clusters is not None:
            values = clusters.summed_gradients(values)
        return values, axes if self.scheme.per_channel else ()

    def _steps(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the distance of two neighbouring values in each column."""
        if self.step is not None:
            return weight_grids.learned_step(self.step.value, rows.shape[0], self._bits)
        if self.scheme.weight_range == "mean":
            return weight_grids.binary_step(rows) if self._bits == 1 else weight_grids.ternary_step(rows)
        return weight_grids.step_of_largest(rows, self._bits)


class _Positive(keras.constraints.Constraint):
    """Keeps trained steps above zero, where there is no grid."""

    def __call__(self, w: Any) -> Any:
        return keras.ops.maximum(w, weight_grids.SMALLEST_STEP)
