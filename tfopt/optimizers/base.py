"""What tfopt's optimizers share: where they mend `keras.optimizers.Optimizer`.

This module is the only one of the package that overrides private methods of Keras's base class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.optimizers import _arguments


class Optimizer(keras.optimizers.Optimizer):
    """Base of tfopt's optimizers; a subclass writes `build`, `update_step` and `get_config` as with Keras.

    Four things differ from Keras's base class:

    - A schedule is called with the number of updates, not of batches, under `gradient_accumulation_steps`.
    - Sparse gradients (of an Embedding) reach `update_step` dense, duplicate rows summed: a rule with
      momentum moves every row at each step, and squares of duplicates taken singly would be wrong.
    - What `exclude_from_weight_decay` excluded is saved with the optimizer.
    - Weight decay is left to `update_step`, which asks `decays(variable)`.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        weight_decay: >= 0, or `None`.
        **kwargs: of `keras.optimizers.Optimizer`: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor`, `gradient_accumulation_steps`,
            `name`.

    Raises:
        InvalidArgumentError: a number is out of its range.
    """

    def __init__(self, learning_rate: Any, *, weight_decay: float | None = None, **kwargs: Any) -> None:
        kind = type(self).__name__
        _arguments.check_weight_decay(kind, weight_decay)
        super().__init__(_arguments.learning_rate(kind, learning_rate), weight_decay=weight_decay, **kwargs)
        self._decay_exclusions: tuple[str, ...] = ()

    def _get_current_learning_rate(self) -> Any:
        # Keras passes `_iterations`, which counts batches also where several make one update.
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()

    def apply(self, grads: Sequence, trainable_variables: Sequence | None = None) -> None:
        """Update `trainable_variables` (or the variables that the optimizer was built with) by `grads`."""
        super().apply([None if g is None else tf.convert_to_tensor(g) for g in grads], trainable_variables)

    def exclude_from_weight_decay(
        self, var_list: Iterable | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Exclude variables from weight decay; call it before the optimizer is built.

        Args:
            var_list: model variables to exclude.
            var_names: regular expressions; a variable whose path (`"conv1/bias"`) holds one is excluded.

        Raises:
            InvalidArgumentError: the optimizer is built already.
        """
        if self.built:
            raise InvalidArgumentError(
                "exclude_from_weight_decay() came after the optimizer was built: call it before compile()."
            )
        by_variable = (f"^{re.escape(variable.path)}$" for variable in var_list or ())
        self._decay_exclusions = (*by_variable, *(var_names or ()))

    def decays(self, variable: Any) -> bool:
        """Return whether weight decay applies to `variable`, as handed to `update_step`."""
        known = self._trainable_variables[self._get_variable_index(variable)]
        path = getattr(known, "path", known.name)
        return bool(self.weight_decay) and not any(re.search(p, path) for p in self._decay_exclusions)

    def _apply_weight_decay(self, variables: Sequence) -> None:
        """Do nothing: Keras decays all variables by `p -= lr wd p` before `update_step`."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments and what is excluded from weight decay."""
        return {**super().get_config(), "exclude_from_weight_decay": list(self._decay_exclusions)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Optimizer:
        """Return the optimizer that `get_config` described."""
        config = dict(config)
        excluded = config.pop("exclude_from_weight_decay", ())
        optimizer = super().from_config(config, custom_objects)
        optimizer.exclude_from_weight_decay(var_names=excluded)
        return optimizer
