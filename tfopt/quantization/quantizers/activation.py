"""The layer that puts activations on the integer grid, in a range that it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt import _replica_share, _validation
from tfopt.errors import InvalidArgumentError
from tfopt.graph import Loop, current_loop
from tfopt.quantization.observers import OBSERVERS, Observer
from tfopt.quantization.quantizers import activation_limits, average_pool, fake_quantize, learned_ranges
from tfopt.quantization.quantizers.delayed_start import QuantizationDelay, delayed
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.quantizers.names import with_requantizes
from tfopt.quantization.scheme import ACTIVATION_RANGES

PACT_DECAY = 1e-4
"""The paper regularizes clipping values as weights are; this is usual for them."""


@keras.saving.register_keras_serializable(package="tfopt")
class ActivationQuantizer(keras.layers.Layer):
    """Quantizes its input in the range that it has seen.

    `calibrate` sets the range. In training it moves on, unless it is frozen: as a moving average of what the
    batches hold, or by its gradient. Before any data, the input passes unchanged at inference; the first
    batch of a training without calibration sets the range.

    Args:
        momentum: the weight of the past in the moving average, in [0, 1). The first `1 / (1 - momentum)`
            batches are averaged with equal weights, so that the range fits from the first step on.
        observer: what calibration finds the range with: `"moving_average"`, `"min_max"`, `"percentile"`,
            `"mse"` or `"entropy"` (see `tfopt.quantization.observers`). A range from one of the last four is
            frozen, for a moving average of extremes would lead away from it.
        activation_range: `"observed"`, or trained from the calibrated range on: `"lsq"`, `"pact"` (see
            `learned_ranges`). PACT's limits have an L2 loss of 1e-4.
        symmetric: whether the zero point is the integer 0.
        nonnegative: whether the input cannot be negative, as after a ReLU: its minimum needs no search.
        tensors: how many tensors share the range, 1 or more. Each has a moving average of its own, and the
            range is what holds them all.
        requantizes: the name of the 16-bit quantizer whose tensors this one rounds to 8 bits, for operators
            of 8 bits; None for tensors in float.

    Raises:
        InvalidArgumentError: an argument is out of its range.
    """

    tfopt_quantizer = True
    num_bits = fake_quantize.NUM_BITS
    delay: QuantizationDelay | None = None

    def __init__(
        self,
        momentum: float = 0.99,
        observer: str = "moving_average",
        activation_range: str = "observed",
        symmetric: bool = False,
        nonnegative: bool = False,
        tensors: int = 1,
        requantizes: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"  # ranges in half precision would move the grid
        super().__init__(autocast=False, **kwargs)
        owner = type(self).__name__
        self.momentum = _validation.number(owner, "momentum", momentum, at_least=0.0, below=1.0)
        self.observer = _validation.choice(owner, "observer", observer, OBSERVERS)
        self.activation_range = _validation.choice(
            owner, "activation_range", activation_range, ACTIVATION_RANGES
        )
        self.symmetric = _validation.flag(owner, "symmetric", symmetric)
        self.nonnegative = _validation.flag(owner, "nonnegative", nonnegative)
        self.tensors = _validation.whole(owner, "tensors", tensors, at_least=1)
        self.requantizes = requantizes
        self._observer: Observer | None = None
        if symmetric:
            self._limits_of: learned_ranges.LimitsOf = activation_limits.symmetric
        else:
            self._limits_of = activation_limits.nonnegative if nonnegative else activation_limits.asymmetric

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 (Keras's signature)
        """Create the range, the count of batches seen, and the range to keep where it is frozen."""
        learned = self.activation_range != "observed"
        regularizer = keras.regularizers.L2(PACT_DECAY) if self.activation_range == "pact" else None

        def variable(name: str, trainable: bool = False, shape: tuple = ()) -> keras.Variable:
            return self.add_weight(
                name=name,
                shape=shape,
                initializer="zeros",
                trainable=trainable,
                regularizer=regularizer if trainable else None,
                aggregation="mean",
            )

        # Of one tensor, or one that learns: two numbers. Else two for each tensor.
        shape = () if learned or self.tensors == 1 else (self.tensors,)
        self.minimum = variable("minimum", learned and self._limits_of is activation_limits.asymmetric, shape)
        self.maximum = variable("maximum", learned, shape)
        self.batches = variable("batches")
        self.frozen = variable("frozen")
        self.kept = variable("kept", shape=(2,)) if learned else None

    def call(
        self,
        inputs: tf.Tensor,
        training: bool | None = None,
        averaged: bool = False,
        tensor: int | None = 0,
        factors: Sequence[Sequence[float]] | None = None,
    ) -> tf.Tensor:
        """Return the quantized input, in the input's own dtype.

        Args:
            inputs: of any shape and floating dtype.
            training: whether the range moves.
            averaged: whether the input is a mean of values in this range, which LiteRT rounds otherwise.
            tensor: which of the tensors that share the range the input is; None where its values follow from
                those of another, in its range, and are not looked at.
            factors: of an average pooling that a file computes by a convolution: for each axis by how much
                fewer values the window at each place holds; see `windows`.
        """
        if self._observer is not None and tensor is None:
            return inputs
        if self._observer is not None:
            self._observer.update(keras.ops.convert_to_numpy(inputs))
            return inputs
        x = tf.cast(inputs, tf.float32)
        loop = current_loop()
        if loop is not None:
            quantized = self._call_in_loop(loop, x, bool(training), tensor, averaged, factors)
        elif training:
            if tensor is not None:
                self._move(tensor, lambda: self._extremes(x))
            quantized = delayed(self.delay, x, lambda: self._quantize(x, self._grid(), averaged, factors))
        else:
            quantized = tf.cond(
                self.batches.value > 0,
                lambda: self._quantize(x, self._grid(), averaged, factors),
                lambda: x,
            )
        return tf.cast(quantized, inputs.dtype)

    def before_loop(self, calls: Sequence[dict[str, Any]], steps: int, training: bool, **_: Any) -> Any:
        """Return the grid that holds in all steps, and by number which tensors have one.

        In a loop quantizers do not change their variables, which no distribution strategy could. So the
        range is that of the batches before; in the first one values pass as they are.
        """
        low, high = self.minimum.value, self.maximum.value
        seen = tf.logical_or(low != 0.0, high != 0.0) if training else self.batches.value > 0
        known = {}
        for tensor in {call.get("tensor", 0) for call in calls}:
            part = seen if tensor is None or not seen.shape.rank else seen[tensor : tensor + steps]
            known[tensor] = tf.reduce_any(part)
        if self.kept is not None:
            return self._grid(), known
        # Numbers without a gradient, for which the loop would keep what it needs in each step.
        return [tf.bitcast(limit, tf.int32) for limit in self._grid()], known

    def _call_in_loop(
        self,
        loop: Loop,
        x: tf.Tensor,
        training: bool,
        tensor: int | None,
        averaged: bool,
        factors: Sequence[Sequence[float]] | None,
    ) -> tf.Tensor:
        grid, known = loop.prepared[id(self)]
        if self.kept is None:
            grid = tuple(tf.bitcast(limit, tf.float32) for limit in grid)
        if training and tensor is not None:
            loop.notes.append(tf.stack(self._extremes(tf.stop_gradient(x))))
        quantized = tf.where(known[tensor], self._quantize(x, grid, averaged, factors), x)
        return delayed(self.delay if training else None, x, lambda: quantized)

    def notes(self, tensor: int | None = 0, **_: Any) -> int:
        """Return how many numbers a call in a loop notes in training, called so."""
        return 0 if tensor is None else len(self._observed)

    def after_loop(self, noted: tf.Tensor, tensor: int = 0, **_: Any) -> None:
        """Move the range to what a call noted in each step of a loop."""
        self._move(tensor, lambda: tf.unstack(noted, axis=1))

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """What a call in a loop changes: nothing."""
        return []

    @property
    def _observed(self) -> list[keras.Variable]:
        """The variables that are moved in training: the largest value, and the smallest where it counts."""
        if self.nonnegative and not self.symmetric:
            return [self.maximum]
        return [self.maximum, self.minimum]

    def _extremes(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Return the largest value, and where it counts the negative of the smallest."""
        return [tf.reduce_max(x), *([-tf.reduce_min(x)] if len(self._observed) == 2 else [])]

    def _move(self, tensor: int, extremes: Callable[[], list[tf.Tensor]]) -> None:
        """Move the range to what a tensor holds.

        Args:
            tensor: its number; in a loop, that of its first step.
            extremes: returns `_extremes` of the tensor; in a loop a vector each, of the steps.
        """
        # The first tensor counts the batch; Keras may call it after others.
        seen = self.batches.value + 1.0 if tensor == 0 else tf.maximum(self.batches.value, 1.0)
        rate = (1.0 - self.frozen.value) * tf.maximum(1.0 - self.momentum, 1.0 / seen)
        if self.kept is not None:  # the first batch alone; gradients move it from there
            rate = tf.cast(seen == 1.0, tf.float32)
        largest, *smallest = self._observed
        before = [largest.value, *(-each.value for each in smallest)]
        if self.kept is None:
            now = extremes()
        else:
            now = tf.cond(rate > 0, lambda: [tf.reduce_max(each) for each in extremes()], lambda: before)
            now = [tf.maximum(*both) for both in zip(now, before, strict=True)] if tensor else now
        now = _over_replicas(now)
        after = [_averaged(*both, rate, tensor) for both in zip(before, now, strict=True)]
        largest.assign(after[0])
        for variable, limit in zip(smallest, after[1:], strict=True):
            variable.assign(-limit)
        if tensor == 0:
            self.batches.assign(seen)

    def _quantize(
        self,
        x: tf.Tensor,
        grid: tuple[tf.Tensor, tf.Tensor],
        averaged: bool,
        factors: Sequence[Sequence[float]] | None,
    ) -> tf.Tensor:
        limits = grid if self.kept is None else self._limits_of(*grid)

        def on_grid(x: tf.Tensor) -> tf.Tensor:
            if self.kept is None:
                return fake_quantize.activations(x, *limits)
            return _LEARNED[self.activation_range](x, *grid, self._limits_of)

        if factors is None:
            return on_grid(fake_quantize.away_from_zero(x, *limits) if averaged else x)
        product = average_pool.product(factors).astype(np.float32)
        if np.any(product != 1.0):
            x = on_grid(fake_quantize.halves_to_even(x / product, *limits)) * product
        return on_grid(fake_quantize.halves_to_even(x, *limits))

    def _grid(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the limits of the grid; of a range that learns, the range."""
        return self._range() if self.kept is not None else self._limits_of(*self._range())

    def _range(self) -> tuple[tf.Tensor, tf.Tensor]:
        if self.kept is None:
            low, high = self.minimum.value, self.maximum.value
            return (tf.reduce_min(low), tf.reduce_max(high)) if high.shape.rank else (low, high)
        kept = self.kept.value
        frozen = self.frozen.value > 0
        return tf.where(frozen, kept[0], self.minimum.value), tf.where(frozen, kept[1], self.maximum.value)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def observe(self, observer: Observer | None) -> None:
        """Let what passes be seen by `observer`, unquantized, until called with None. For eager calls."""
        self._observer = observer

    def set_range(self, minimum: float, maximum: float, batches: int = 1, *, held: bool = False) -> None:
        """Set the range from which training goes on.

        Args:
            minimum, maximum: the range.
            batches: in how many batches it was seen, 1 or more: its weight in the moving average.
            held: whether training leaves an observed range as it is.
        """
        low = 0.0 if self._limits_of is activation_limits.nonnegative else minimum
        high = max(maximum, -minimum) if self.symmetric else maximum
        for variable, limit in ((self.minimum, low), (self.maximum, high)):
            variable.assign(np.full(variable.shape, limit, np.float32))
        self.batches.assign(float(batches))
        self.freeze(held and self.kept is None)

    def freeze(self, frozen: bool = True) -> None:
        """Keep the range as it is now, or let it move again."""
        if self.kept is not None and frozen and not float(self.frozen.numpy()):
            self.kept.assign([float(self.minimum.numpy()), float(self.maximum.numpy())])
        self.frozen.assign(float(frozen))

    def lower(self) -> FixedQuantizer:
        """Return the quantizer with the range that was seen.

        Raises:
            InvalidArgumentError: no data was seen, so there is no range.
        """
        if not self.built or float(self.batches.numpy()) == 0:
            raise InvalidArgumentError(
                f"The quantizer {self.name!r} has seen no data, so it has no range: train the model, or call "
                "tfopt.quantization.calibrate(model, representative_dataset)."
            )
        low, high = (float(np.asarray(limit)) for limit in self._limits_of(*self._range()))
        return FixedQuantizer(low, high, requantizes=self.requantizes, name=self.name)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in _ARGUMENTS}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ActivationQuantizer:
        """Return the quantizer that `get_config` described, also in files without `requantizes`."""
        return super().from_config(with_requantizes(config))


_ARGUMENTS = (
    *("momentum", "observer", "activation_range", "symmetric", "nonnegative", "tensors"),
    "requantizes",
)


_LEARNED = {"lsq": learned_ranges.lsq, "pact": learned_ranges.pact}


def _over_replicas(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the largest over all replicas: they see different parts of a batch and must have one range."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    own = tf.stack(values)
    counts = _replica_share.has_samples()
    if counts is not None:
        own = tf.where(counts, own, own.dtype.min)
    gathered = context.all_gather(own[None], axis=0)
    return tf.unstack(tf.reduce_max(gathered, axis=0), len(values))


def _averaged(before: tf.Tensor, now: tf.Tensor, rate: tf.Tensor, tensor: int) -> tf.Tensor:
    """Return a limit, a number or one of each tensor, moved at `rate` to those of some tensors.

    Args:
        before: the limit.
        now: what a tensor holds, or several do from number `tensor` on.
        rate: from 0, which leaves the limit, to 1.
        tensor: the number of the first tensor.
    """
    if not before.shape.rank:
        return before + rate * _finite(tf.reshape(now, ()) - before)
    now = tf.reshape(now, [-1])
    end = tensor + now.shape[0]
    moved = before[tensor:end] + rate * _finite(now - before[tensor:end])
    return tf.concat([before[:tensor], moved, before[end:]], 0)


def _finite(step: tf.Tensor) -> tf.Tensor:
    """Return a step of a range, 0 where it overflowed: loss scaling skips such a batch."""
    return tf.where(tf.math.is_finite(step), step, 0.0)
