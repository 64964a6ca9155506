"""Sharpness-aware minimization: the gradient is taken where the loss is worst nearby."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import keras
import tensorflow as tf

from tfopt import _replica_share
from tfopt._hyperparameters import NonNegative, Positive, checked, one_of
from tfopt.clipping.gradients import map_values
from tfopt.errors import UnsupportedModel
from tfopt.optimizers._core import keras_private, training_step
from tfopt.optimizers.wrappers.base import Wrapper

_TINY = 1e-12


@keras.saving.register_keras_serializable(package="tfopt")
class SAM(Wrapper):
    """Finds flat minima: two gradients a step, the second at weights that the first makes worse.

    With the gradient `g` of a batch at the weights `w` (norms are over all variables together), the inner
    optimizer applies at `w` the gradient `g'` of the same batch at `w + e`:

        sam:   e = rho g / |g|
        asam:  e = rho T^2 g / |T g|, with T = |w| entry by entry: does not depend on the scale of the weights
        gsam:  e as in sam, and g' - alpha (the part of g that is orthogonal to g') is applied

    A step takes twice the time of one without. No weight is moved to take the second gradient, and what the
    forward pass changes (statistics of BatchNormalization, metrics) is not changed by it. Over replicas, `e`
    follows the gradient of the global batch; under `gradient_accumulation_steps`, that of each small batch.

    Works in `fit` and `train_on_batch` of models that do not override `train_step`, and by `minimize` in a
    loop of your own. Around it may be a `LossScaleOptimizer` (on one device) and `GradientClipping`, which
    clips what is applied. Keeps no state.

    References: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization (2021,
    arXiv 2010.01412), algorithm 1; Kwon et al., ASAM (2021, arXiv 2102.11600), algorithm 1; Zhuang et al.,
    Surrogate Gap Minimization Improves Sharpness-Aware Training (2022, arXiv 2203.08065), algorithm 1.

    Args:
        inner_optimizer: applies the second gradient.
        rho: size of the neighbourhood, > 0. Usual: 0.05, for asam 0.5 to 2.
        mode: `"sam"`, `"asam"` or `"gsam"`.
        eta: of asam, >= 0: `T = |w| + eta` for kernels and 1 for vectors (biases, scales), as the authors
            have it with 0.01; `None` for `T = |w|` everywhere.
        alpha: of gsam, >= 0.
        name: of the optimizer.

    Raises:
        InvalidArgumentError: an argument is out of its range, or see `Wrapper`.
        UnsupportedModel: in training: the optimizer is not called from a training step that it can repeat.

    Example:
        >>> optimizer = SAM(keras.optimizers.SGD(0.1, momentum=0.9), rho=0.05)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
        >>> history = model.fit(x, y, verbose=0)
    """

    @checked
    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        rho: Positive = 0.05,
        mode: Annotated[str, one_of("sam", "asam", "gsam")] = "sam",
        eta: NonNegative | None = None,
        alpha: NonNegative = 0.4,
        name: str = "sam",
    ) -> None:
        super().__init__(inner_optimizer, name=name)
        self.rho, self.mode, self.eta, self.alpha = rho, mode, eta, alpha

    @tf.autograph.experimental.do_not_convert
    def apply(self, grads: Sequence, trainable_variables: Sequence | None = None) -> None:
        """Update by the gradients at the weights, and those that the training step around this gives."""
        own = keras_private.variables_of(self)
        variables = list(own if trainable_variables is None else trainable_variables)
        self.apply_twice(grads, variables, training_step.current("SAM").gradients)

    @tf.autograph.experimental.do_not_convert
    def minimize(self, loss: Callable[[], tf.Tensor], variables: Sequence[keras.Variable]) -> tf.Tensor:
        """Update `variables` once, and return the loss before; for a training loop without `fit`.

        Args:
            loss: computes the loss of one batch, a scalar, from Keras layers and variables; called twice.
            variables: to update.
        """

        def gradients(variables: Sequence, at: Sequence) -> list:
            with tf.GradientTape() as tape:
                tape.watch(at)
                with keras.StatelessScope(state_mapping=list(zip(variables, at, strict=True))):
                    value = loss()
            return tape.gradient(value, list(at))

        with tf.GradientTape() as tape:
            value = loss()
        first = tape.gradient(value, [variable.value for variable in variables])
        self.apply_twice(first, list(variables), gradients)
        return value

    def apply_twice(
        self, gradients: Sequence, variables: Sequence, again: Callable[[list, list], Sequence]
    ) -> None:
        """Update `variables` by gradients at their values and by those that `again` gives at others.

        Args:
            gradients: of the variables as they are, `None` for those that the loss does not reach.
            variables: `keras.Variable`s.
            again: (variables, values) -> gradients of the same loss with the variables at these values.
        """
        known = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        first = _summed([tf.cast(tf.convert_to_tensor(g), v.dtype) for g, v in known])
        reached = [v for _, v in known]
        steps = self.perturbation(first, [tf.convert_to_tensor(v) for v in reached])
        second = again(reached, [v + tf.cast(e, v.dtype) for v, e in zip(reached, steps, strict=True)])
        lost = [v.path for v, g in zip(reached, second, strict=True) if g is None]
        if lost:
            raise UnsupportedModel(
                f"SAM: the second pass gives no gradient for {', '.join(lost)}, whose layer reads its "
                f"variables in a scope of its own; train this model without SAM."
            )
        # The inner optimizer takes its loss scale out, as it does of the gradients that came.
        with _replica_share.alike():
            second = [map_values(self.scale_loss, gradient) for gradient in second]
        if self.mode == "gsam":
            # Already summed, and the same on each replica, whose gradients will be summed once more.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            dense = [tf.cast(tf.convert_to_tensor(g), f.dtype) for g, f in zip(second, first, strict=True)]
            second = [g / replicas for g in self.combine(first, _summed(dense))]
        super().apply(second, reached)

    def perturbation(self, gradients: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return what is added to the weights for the second gradient."""
        if self.mode == "asam":
            scales = [self._scale(w) for w in weights]
        else:
            scales = [tf.ones([], w.dtype) for w in weights]
        scaled = [g * t for g, t in zip(gradients, scales, strict=True)]
        factor = self.rho / (_norm(scaled) + _TINY)
        return [t * s * tf.cast(factor, s.dtype) for t, s in zip(scales, scaled, strict=True)]

    def combine(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the gradient that gsam applies."""
        along = _dot(first, second) / (tf.square(_norm(second)) + _TINY)
        return [
            s - self.alpha * (f - tf.cast(along, f.dtype) * s) for f, s in zip(first, second, strict=True)
        ]

    def _scale(self, weights: tf.Tensor) -> tf.Tensor:
        if self.eta is None:
            return tf.abs(weights)
        return tf.abs(weights) + self.eta if len(weights.shape) > 1 else tf.ones_like(weights)


def _summed(gradients: Any) -> list[tf.Tensor]:
    """Return the gradients summed over replicas."""
    gradients, context = list(gradients), tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients) if context else gradients


def _dot(one: Sequence[tf.Tensor], other: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the inner product of two lists of tensors, each as one vector, at least in float32."""
    dtype = keras.backend.result_type(*{tensor.dtype.name for tensor in one}, "float32")
    pairs = zip(one, other, strict=True)
    return tf.add_n([tf.reduce_sum(tf.cast(a, dtype) * tf.cast(b, dtype)) for a, b in pairs])


def _norm(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.sqrt(_dot(tensors, tensors))
