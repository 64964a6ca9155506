"""Gradient clipping inside a compiled training step."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfopt import _validation
from tfopt import rules as layer_rules
from tfopt.callbacks._core import clip_setting, optimizer_hook
from tfopt.callbacks._core.clip_setting import Rule, Setting, Threshold
from tfopt.callbacks._core.skipped_updates import SkippedUpdates
from tfopt.callbacks._core.variables import layer_paths, replicated
from tfopt.clipping import METHODS
from tfopt.clipping.gradients import Gradient
from tfopt.errors import InvalidArgumentError, TrainingError


class GradientClipping(keras.callbacks.Callback):
    """Clips the gradients of any Keras optimizer while `fit` runs, and skips updates that are not finite.

    Clips what is about to be applied: summed over replicas, averaged over accumulated batches, without the
    loss scale. (The `clipnorm` of a Keras optimizer clips each replica's own gradient, and poisons the
    weights when a gradient is infinite.) An update whose gradients hold inf or NaN changes no weight and no
    state of the optimizer, does not count in `optimizer.iterations`, and adds to `nonfinite_steps` in the
    logs of the epoch; only the `weight_decay` of a Keras optimizer still acts in it. The first one warns.

    With `keras.optimizers.MultiOptimizer`, each optimizer's variables are clipped as a group of their own.

    `"autoclip"` and `"zclip"` learn from the norms of one training: each `fit` starts them anew, and only the
    checkpoints of a `tfopt.Pipeline` keep what they have learned for a run that is resumed.

    Args:
        method: `"value"`: each entry to +-threshold; `"norm"`: each variable's gradient to that norm;
            `"global_norm"`: all together to that norm; `"adaptive"` (AGC, arXiv 2102.06171): the gradient of
            each unit to threshold times the norm of its weights; `"block_rms"`: each variable's gradient to
            that root mean square; `"autoclip"` (arXiv 2007.14469): all together to a percentile of the norms
            so far; `"zclip"` (arXiv 2504.02507): all together where their norm is an outlier.
        threshold: > 0; a percentile for `"autoclip"`, standard deviations for `"zclip"`. By default 0.01 for
            `"adaptive"`, 10 for `"autoclip"`, 2.5 for `"zclip"`, else 1.0. Or a schedule: a
            `LearningRateSchedule`, or any Python function of the number of updates made, called before each
            batch. Set `callback.threshold` to change it while training.
        rules: layer-path pattern -> that layer's own threshold, `(method, threshold)`, method, or `None` to
            leave it unclipped; the first match wins. AGC's authors leave the last linear layer out:
            `rules={"head": None}`. A method that clips several variables together takes those of one rule, or
            of equal ones.
        max_nonfinite_steps: stop with an error after so many updates in a row that were not finite, >= 1;
            `None` for never. While a `LossScaleOptimizer` still lowers a scale above 1, they do not count.
        **options: of `tfopt.clipping.AutoClip` (`history`) or `tfopt.clipping.ZClip` (`alpha`,
            `warmup_steps`, `mode`, `clip_option`, `max_grad_norm`, `epsilon`, `clip_factor`,
            `skip_update_on_spike`).

    Raises:
        InvalidArgumentError: at once, for an unknown method or a threshold that is not positive; when
            training begins, for a rule that matches no layer or a model that is not compiled.
        TrainingError: while training: `max_nonfinite_steps` is reached. The weights are those before.

    Example:
        >>> clipping = GradientClipping("adaptive", 0.02, rules={"head": None})
        >>> history = model.fit(x, y, verbose=0, callbacks=[clipping])
    """

    def __init__(
        self,
        method: str,
        threshold: Threshold | None = None,
        *,
        rules: Mapping[str, Rule] | None = None,
        max_nonfinite_steps: int | None = 10,
        **options: Any,
    ) -> None:
        super().__init__()
        limit = max_nonfinite_steps
        if limit is not None and not (_validation.is_whole(limit) and limit >= 1):
            raise InvalidArgumentError(
                f"GradientClipping: expected max_nonfinite_steps >= 1 or None, got {limit!r}."
            )
        self.method = method
        self.rules = dict(rules or {})
        self.max_nonfinite_steps = limit
        self.options = dict(options)
        self._common = clip_setting.make(method, threshold, options)
        self._threshold = self._common.threshold
        self._of_rules = self._rule_settings()
        # Variables belong to one training: a callback is copied before, and used again for other models.
        self._variable: Any = None
        self._state: Any = None
        self._skipped: SkippedUpdates | None = None
        self._rule: Any = None

    @property
    def threshold(self) -> Threshold:
        """The threshold of layers without a rule; setting it takes effect at the next batch."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: Threshold) -> None:
        before, self._threshold = self._threshold, clip_setting.check_threshold(self.method, value)
        if self._variable is None:
            return
        self._set_variable()
        if clip_setting.traceable(before) or clip_setting.traceable(self._threshold):
            optimizer_hook.retrace(self.model)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Take hold of the optimizer."""
        optimizer_hook.require_optimizer(self)
        if self.model.built:
            self._settings_of_variables()  # raises where a rule matches no layer
        hooks = optimizer_hook.attach(
            optimizer_hook.Link(owner=self, transform=self._clip, observe=self._count)
        )
        self._rule = hooks[0].optimizer
        self._variable = replicated(self.model, "clipping_thresholds", [0.0] * len(self._groups))
        self._set_variable()
        self._skipped = SkippedUpdates(self.model, len(hooks), self.max_nonfinite_steps)
        width = max(setting.state_size for setting in self._groups)
        if width:
            zeros = tf.zeros((len(hooks) * len(self._groups), width))
            self._state = replicated(self.model, "clipping_state", zeros, per_replica=True)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Count from zero."""
        self._counted.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Hand thresholds that are functions to the step."""
        if any(map(callable, self._thresholds)):
            self._set_variable()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop when the gradients stay inf or NaN."""
        try:
            self._counted.check()
        except TrainingError:
            self.on_train_end()  # Keras will not call it
            raise

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put `nonfinite_steps` into `logs`."""
        if logs is not None:
            logs["nonfinite_steps"] = self._counted.of_epoch

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the optimizer."""
        optimizer_hook.detach(self)
        self._variable = self._state = self._skipped = self._rule = None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the threshold as it is now; schedules as their configs."""

        def described(rule: Rule) -> Any:
            parts = rule if isinstance(rule, tuple | list) else (rule,)
            plain = [clip_setting.describe(part) for part in parts]  # type: ignore[arg-type]
            return tuple(plain) if isinstance(rule, tuple | list) else plain[0]

        return {
            "method": self.method,
            "threshold": clip_setting.describe(self.threshold),
            "rules": {pattern: described(rule) for pattern, rule in self.rules.items()},
            "max_nonfinite_steps": self.max_nonfinite_steps,
            **self.options,
        }

    @property
    def _counted(self) -> SkippedUpdates:
        assert self._skipped is not None, "set in on_train_begin"
        return self._skipped

    def _rule_settings(self) -> dict[str, Setting | None]:
        """Return pattern -> setting; equal rules share theirs."""
        of_rule: dict[str, Setting | None] = {}
        found = {}
        for pattern, rule in self.rules.items():
            if repr(rule) not in of_rule:
                where = f" in the rule {pattern!r}"
                of_rule[repr(rule)] = clip_setting.of_rule(rule, self.method, self.options, where=where)
            found[pattern] = of_rule[repr(rule)]
        return found

    @property
    def _groups(self) -> list[Setting]:
        """The settings: of layers without a rule, then those of the rules."""
        return [self._common, *{id(s): s for s in self._of_rules.values() if s is not None}.values()]

    @property
    def _thresholds(self) -> list[Threshold]:
        """The thresholds of the groups, as they are now."""
        return [self._threshold, *(setting.threshold for setting in self._groups[1:])]

    def _set_variable(self) -> None:
        updates = int(keras.ops.convert_to_numpy(self._rule.iterations))
        self._variable.assign([clip_setting.at_batch(t, updates) for t in self._thresholds])

    def _settings_of_variables(self) -> dict[int, Setting | None]:
        """Return `id(variable)` -> the setting of its layer."""
        paths = layer_paths(self.model)
        of_layer = layer_rules.resolve(self._of_rules, dict.fromkeys(paths.values()), default=self._common)
        return {variable: of_layer[path] for variable, path in paths.items()}

    def _clip(self, update: optimizer_hook.Update, gradients: list[Gradient]) -> list[Gradient]:
        # A subclassed model has its variables only now that the step is traced.
        settings = self._settings_of_variables()
        clipped = list(gradients)
        own = [settings.get(id(variable), self._common) for variable in update.variables]
        for number, setting in enumerate(self._groups):
            indices = [i for i, chosen in enumerate(own) if chosen is setting]
            if not indices:
                continue
            threshold = self._variable.value[number]
            if clip_setting.traceable(self._thresholds[number]):
                threshold = clip_setting.in_step(self._thresholds[number], update.optimizer.iterations)
            group = [gradients[i] for i in indices]
            if setting.stateful is None:
                clip = METHODS[setting.method].clip
                assert clip is not None, "a method clips with a memory or without"
                group = clip(group, [update.variables[i] for i in indices], threshold)
            else:
                row = update.index * len(self._groups) + number
                group, threshold = self._clip_with_memory(setting, row, group, threshold)
            if setting is self._common:
                update.metrics["clip_threshold"] = threshold
            for index, gradient in zip(indices, group, strict=True):
                clipped[index] = gradient
        return clipped

    def _clip_with_memory(
        self, setting: Setting, row: int, gradients: list[Gradient], threshold: tf.Tensor
    ) -> tuple[list[Gradient], tf.Tensor]:
        """Return the gradients and the norm that bounds them; the memory is a row of `_state`."""
        assert setting.stateful is not None, "a method with a memory"
        rows = tf.convert_to_tensor(self._state.value)
        result = setting.stateful(gradients, rows[row, : setting.state_size], threshold)
        new = tf.concat([result.state, rows[row, setting.state_size :]], axis=0)
        self._state.assign(tf.tensor_scatter_nd_update(rows, [[row]], [new]))
        return result.gradients, result.bound

    def _count(self, update: optimizer_hook.Update, after: list[Gradient]) -> None:
        self._counted.count(update)
