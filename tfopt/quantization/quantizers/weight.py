"""A layer whose weights are quantized whenever they are used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.clustering.constraint import kept_clusters
from tfopt.graph import Tie, current_loop, replace_variable, shared_config
from tfopt.quantization.operators.weights import Weights, block_size_of, required_weights
from tfopt.quantization.quantizers import dynamic_activations, fake_quantize, weight_grids
from tfopt.quantization.quantizers.delayed_start import QuantizationDelay, delayed
from tfopt.quantization.scheme import Scheme, SchemeLike, scheme_of


@dataclasses.dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """The quantized weights of a layer, as a file is to hold them.

    Attributes:
        values: int8 in columns, `(weights, channels)`.
        bits: of the scheme; a file may need more for one.
        block_size: how many weights of a channel, one after the other, share a scale; None for all.
        block_scales: of blocks, `(blocks, channels)`.
        dynamic: whether the operator reads integers and rounds its inputs itself, or gets floats.
    """

    values: np.ndarray
    bits: int
    block_size: int | None = None
    block_scales: np.ndarray | None = None
    dynamic: bool = False

    def equals(self, other: QuantizedWeights) -> bool:
        """Return whether a file holds the same for the weights of another layer."""
        settings = [(each.bits, each.block_size, each.dynamic) for each in (self, other)]
        return settings[0] == settings[1] and np.array_equal(self.values, other.values)


@keras.saving.register_keras_serializable(package="tfopt")
class WeightQuantizer(keras.layers.Wrapper):
    """Runs a layer with its weights on the grid of a scheme; the float weights are what training changes.

    The inner layer keeps its variables, constraints and regularizers, so that a pruned kernel stays
    pruned. Biases stay in float: a file holds them in 32 bits.

    Args:
        layer: a layer with a kernel, or an Embedding.
        scheme: a name, a `Scheme` or its config. Its activations are of no concern here.
        seed: of stochastic rounding; None takes one from Keras's global seed.
        tied_to: the layer whose variable the weights are, None where they are the inner layer's own.

    Raises:
        InvalidArgumentError: there is no such scheme.
        UnsupportedOperation: the layer has no weights that a scheme is for.
    """

    tfopt_quantizer = True
    tfopt_wrapper = True
    delay: QuantizationDelay | None = None
    step: keras.Variable | None = None

    def __init__(
        self,
        layer: keras.Layer,
        scheme: SchemeLike = "int8",
        seed: int | None = None,
        tied_to: Tie | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(layer, **kwargs)
        self.tied_to = tied_to
        self.scheme: Scheme = scheme_of(scheme)
        self.seed_generator = (
            keras.random.SeedGenerator(seed) if self.scheme.rounding == "stochastic" else None
        )

    def build(self, input_shape: Any) -> None:
        """Build the layer, and the scales where they are trained."""
        super().build(input_shape)
        if self.tied_to is not None:
            replace_variable(self.layer, self._variable()[0], self.tied_to.variable)
        if self.scheme.weight_range == "lsq" and self.scheme.weight_bits is not None:
            channels = self._columns()[0].shape[1]
            self.step = self.add_weight(
                name="step",
                shape=(channels,),
                initializer="ones",
                constraint=_Positive(),
                dtype="float32",
                autocast=False,
            )

    def start_steps(self) -> None:
        """Set trained scales to what suits the weights as they are now."""
        if self.step is not None:
            rows, _ = self._columns()
            self.step.assign(weight_grids.first_scale(rows, self._bits))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Call the layer with the quantized weights in place of the weights."""
        if self.scheme.weight_bits is None or self._looks_up_for_integers(inputs):
            return self.layer(inputs)
        variable, _ = self._variable()
        loop = current_loop()
        quantized = self.before_loop(bool(training)) if loop is None else loop.prepared[id(self)]
        rounded = self._rounded(inputs, training=bool(training))
        with keras.StatelessScope([(variable, quantized)], collect_losses=True) as scope:
            outputs = self.layer(rounded)
        for loss in scope.losses:  # an activity regularizer's
            self.add_loss(loss)
        return outputs

    def before_loop(self, training: bool, **_: Any) -> tf.Tensor | None:
        """Return the weights as a call uses them, the same in each step of a loop; None for float ones."""
        if self.scheme.weight_bits is None:
            return None
        quantized = self.quantized(training=training)
        if training and self.delay is not None:
            variable = self._variable()[0]
            quantized = delayed(self.delay, tf.cast(variable.value, tf.float32), lambda: quantized)
        return quantized

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """What a call in a loop changes: nothing, for rounding at random comes before it."""
        return []

    def quantized(self, training: bool = False) -> tf.Tensor:
        """Return the weights on their grid, float32 in their own shape.

        Args:
            training: whether stochastic rounding is.
        """
        scheme, bits = self.scheme, self._bits
        random = training and self.seed_generator is not None
        if scheme.weight_range == "max" and self.block_size is None and not random:
            return fake_quantize.weights(*self._weights(), bits)
        rows, back = self._columns()
        if scheme.weight_range == "mean":
            return back(weight_grids.binary(rows) if bits == 1 else weight_grids.ternary(rows))
        rounded: weight_grids.Round = weight_grids.nearest
        if random:
            rounded = weight_grids.stochastic(keras.random.uniform(rows.shape, seed=self.seed_generator))
        return back(weight_grids.on_grid(rows, self._scales(rows), bits, rounded))

    def quantized_weights(self) -> QuantizedWeights:
        """Return the integers of the weights as they are now, of a scheme that has integers for them."""
        rows, back = self._columns()
        inverse = 1.0 / self._scales(rows)
        integers = tf.round(self.quantized() * back(tf.broadcast_to(inverse, rows.shape)))
        _, own_axes = self._variable()
        axes = self._range_axes()
        values = weight_grids.columns(integers, own_axes)[0].numpy().astype(np.int8)
        return QuantizedWeights(
            values=values,
            bits=self._bits if axes is None else dynamic_activations.bits_in_file(self.layer, self._bits),
            block_size=self.block_size,
            block_scales=None if self.block_size is None else self.scales().reshape(-1, values.shape[1]),
            dynamic=axes is not None,
        )

    def scales(self) -> np.ndarray:
        """Return the scale of each channel, float64; one number where all have one.

        With blocks, those of each channel's first block come first.
        """
        rows, _ = self._columns()
        return np.asarray(self._scales(rows).numpy(), np.float64)

    @property
    def block_size(self) -> int | None:
        """How many inputs of an output channel share a scale; None where all do."""
        return block_size_of(self.layer, self.scheme.block_size)

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

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG002
        """Return what the layer returns."""
        return self.layer.compute_output_spec(inputs)

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
        return {
            **super().get_config(),
            "layer": shared_config(self.layer),
            "scheme": self.scheme.get_config(),
            "tied_to": self.tied_to and self.tied_to.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WeightQuantizer:
        """Return the layer that `get_config` described."""
        return super().from_config({**config, "tied_to": Tie.from_config(config.get("tied_to"))})

    def _looks_up_for_integers(self, inputs: tf.Tensor) -> bool:
        """Return whether a call is a look-up, whose table has the scale of the output in a file."""
        looks_up = getattr(self.layer, "tfopt_looks_up", None)
        return looks_up is not None and self.leaves_the_grid_to_the_converter and looks_up(inputs)

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

    def _columns(self) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        """Return the weights in float32 as columns of one scale each, and what turns such back."""
        rows, back = weight_grids.columns(*self._weights())
        if self.block_size is None:
            return rows, back
        cut, join = weight_grids.blocks(rows, self.block_size)
        return cut, lambda columns: back(join(columns))

    def _range_axes(self) -> tuple[int, ...] | None:
        """Return the axes over which the file's operator takes a range of its inputs; None for floats."""
        if not self.scheme.dynamic and self.block_size is None:
            return None
        return dynamic_activations.range_axes(self.layer, self._bits)

    def _rounded(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        """Return the inputs as the operator of the file rounds them while it runs."""
        axes = self._range_axes()
        if axes is None:
            return inputs
        delay = self.delay if training else None
        return delayed(delay, inputs, lambda: dynamic_activations.rounded(inputs, axes))

    def _scales(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the scale of each column."""
        if self.step is not None:
            scale = weight_grids.learned_scale(self.step.value, rows.shape[0], self._bits)
        elif self.scheme.weight_range == "mean":
            scale = weight_grids.binary_scale(rows) if self._bits == 1 else weight_grids.ternary_scale(rows)
        else:
            scale = weight_grids.scale_of_largest(rows, self._bits)
        return scale if self.block_size is None else weight_grids.scale_of_block(scale)


class _Positive(keras.constraints.Constraint):
    """Keeps trained scales above zero, where there is no grid."""

    def __call__(self, w: Any) -> Any:
        return keras.ops.maximum(w, weight_grids.SMALLEST_SCALE)
