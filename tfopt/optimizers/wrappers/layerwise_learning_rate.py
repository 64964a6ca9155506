"""A learning rate for each layer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt import _validation
from tfopt import rules as layer_rules
from tfopt._hyperparameters import Share, checked
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers._core.base import Optimizer, path_of
from tfopt.optimizers.wrappers.base import Wrapper

logger = logging.getLogger(__name__)


@keras.saving.register_keras_serializable(package="tfopt")
class LayerwiseLearningRate(Wrapper):
    """Multiplies the learning rate of any optimizer, layer by layer.

    The step that the inner optimizer takes is multiplied, its weight decay included, never the gradient:
    an optimizer like Adam divides by the size of the gradient, and a multiplied gradient gives the same step.

    Layer-wise decay, for fine-tuning: with `decay=0.8` the last layer keeps the rate, the one before it has
    0.8 of it, and so on down to the input. `blocks` counts groups of layers instead of layers. A rule comes
    before the decay.

    Reference for the decay: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification
    (2018, arXiv 1801.06146), section 3.2; Clark et al., ELECTRA (2020, arXiv 2003.10555), section 3.1.

    Args:
        inner_optimizer: the optimizer whose steps are multiplied.
        rules: layer-path pattern (`"backbone/*"`, a layer's name, ...) -> multiplier >= 0; the first match
            wins. 0 keeps a layer as it is, though the optimizer's state of it is still updated.
        decay: multiplier from each layer to the one before it, in (0, 1]; 1 for none.
        blocks: layer-path patterns from input to output, each one step of the decay: `("embedding",
            "block1/*", "block2/*", "head")`. By default each layer with trainable weights is one.
        name: of the optimizer.

    Raises:
        InvalidArgumentError: a number is out of its range; when the optimizer is built, a rule or block that
            matches no layer, or a layer in no block and no rule; or see `Wrapper`.

    Example:
        >>> optimizer = LayerwiseLearningRate(keras.optimizers.AdamW(1e-3), {"head": 10.0}, decay=0.9)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    @checked
    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        rules: Mapping[str, float] | None = None,
        decay: Share = 1.0,
        blocks: Iterable[str] | None = None,
        name: str = "layerwise_learning_rate",
    ) -> None:
        rules = _validation.mapping("LayerwiseLearningRate", "rules", rules, '{"head": 10.0}')
        for pattern, multiplier in rules.items():
            owner = f"LayerwiseLearningRate, rule {pattern!r}"
            _validation.number(owner, "multiplier", multiplier, at_least=0)
        super().__init__(inner_optimizer, name=name)
        self.rules = rules
        self.decay = decay
        self.blocks = None if blocks is None else tuple(blocks)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Find the multiplier of each of `variables`."""
        if self.built:
            return
        super().build(variables)
        paths = _layer_paths(variables)
        layers = list(dict.fromkeys(paths))
        ruled = layer_rules.resolve(self.rules, layers, default=None)
        by_depth = self._decayed([path for path in layers if ruled[path] is None])
        multipliers = by_depth | {path: rule for path, rule in ruled.items() if rule is not None}
        self._multipliers = tuple(multipliers[path] for path in paths)
        for path, multiplier in multipliers.items():
            logger.debug("%s: learning rate of %s times %g", self.name, path, multiplier)

    def _decayed(self, layers: Sequence[str]) -> dict[str, float]:
        """Return layer -> multiplier by its depth, counted from the last."""
        if self.blocks is None:
            return {path: self.decay**depth for depth, path in enumerate(reversed(layers))}
        depths = {pattern: depth for depth, pattern in enumerate(reversed(self.blocks))}
        found = layer_rules.resolve(dict(reversed(depths.items())), layers, default=None)
        stray = [path for path, depth in found.items() if depth is None]
        if stray:
            raise InvalidArgumentError(
                f"LayerwiseLearningRate: these layers are in no block and no rule: {', '.join(stray)}; add a "
                f"block or a rule for them."
            )
        return {path: self.decay**depth for path, depth in found.items() if depth is not None}

    def update_variables(self, gradients: Sequence, variables: Sequence, learning_rate: Any) -> None:
        """Update the variables of one replica."""
        multipliers = [self._multipliers[self.index(variable)] for variable in variables]
        if isinstance(self.inner_optimizer, (Optimizer, Wrapper)):
            self._multiply_steps(gradients, variables, learning_rate, multipliers)
            return
        for gradient, variable, multiplier in zip(gradients, variables, multipliers, strict=True):
            self.update_inner([gradient], [variable], learning_rate * multiplier)

    def _multiply_steps(
        self, gradients: Sequence, variables: Sequence, learning_rate: Any, multipliers: Sequence[float]
    ) -> None:
        """Update by one call for all variables, which the inner optimizer may couple."""
        multiplied = [(v, m) for v, m in zip(variables, multipliers, strict=True) if m != 1]
        before = [tf.identity(variable) for variable, _ in multiplied]
        self.update_inner(gradients, variables, learning_rate)
        for (variable, multiplier), old in zip(multiplied, before, strict=True):
            self.assign(variable, old + multiplier * (variable - old))


def _layer_paths(variables: Sequence) -> list[str]:
    """Return the path of each variable's layer, without the name of a Sequential or subclassed model."""
    paths = [path_of(variable).split("/") for variable in variables]
    paths = [path[:-1] or path for path in paths]
    within = len({path[0] for path in paths}) == 1 and all(len(path) > 1 for path in paths)
    return ["/".join(path[within:]) for path in paths]
