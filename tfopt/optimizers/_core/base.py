"""What tfopt's optimizers share: how an update reaches variables, and where they fix Keras's base class."""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfopt._hyperparameters import NonNegative, checked, with_arguments
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers._core import keras_private, replicated_accumulation
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.group import Group, Layout, UpdateStep, layouts

logger = logging.getLogger(__name__)

Update = tuple[tf.Tensor, Mapping[str, tf.Tensor]]
"""What is subtracted from the weights of a group, and its new state by slot."""
Values = tuple[tf.Tensor, Mapping[str, tf.Tensor]]
"""The weights of a group after an update, and its new state by slot."""


class Optimizer(keras_private.KerasOptimizer):
    """Base of tfopt's optimizers: a subclass writes `slots`, `update` and `get_config`.

    `update` is a pure function of gradient, weights and state. The base class applies it to groups of
    variables (`tfopt.optimizers._core.group`), compiled where that pays, under any strategy. Where it differs
    from Keras's base class:

    - A schedule is called with the number of updates, not of batches, under `gradient_accumulation_steps`.
    - Sparse gradients (of an Embedding) reach `update` dense, duplicate rows summed: a rule with
      momentum moves every row at each step, and squares of duplicates taken singly would be wrong.
    - An update with inf or NaN in the gradient of any variable on any replica is skipped: it changes
      neither weights nor state, and is not counted in `iterations`.
    - `clipnorm`, `clipvalue` and `global_clipnorm` clip the sum over replicas, not each replica's part.
    - Weight decay is decoupled, `p <- p - learning_rate weight_decay p`, with what
      `exclude_from_weight_decay` excluded saved with the optimizer.

    State is kept in float32 for variables of half precision.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        weight_decay: >= 0, or `None`.
        **kwargs: of `keras.optimizers.Optimizer`: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor`, `gradient_accumulation_steps`,
            `name`.

    Raises:
        InvalidArgumentError: a number is out of its range.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state that holds a number for each weight, zero at first."""
    fuses: ClassVar[bool] = True
    """Whether XLA compiles the update of large variables; it does linear algebra slowly."""

    @checked
    def __init__(
        self, learning_rate: LearningRate, *, weight_decay: NonNegative | None = None, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self._decay_exclusions: tuple[str, ...] = ()

    # What a subclass writes.

    def update(self, group: Group) -> Update:
        """Return what one update subtracts from the weights of `group`, before decay, and its new state."""
        raise NotImplementedError

    def create_state(self, layout: Layout) -> dict[str, keras.Variable]:
        """Return the state of a group by slot; override it for state that is not shaped like the weights."""
        return {slot: self.add_state(layout, slot) for slot in self.slots}

    def joins(self, variable: keras.Variable) -> bool:  # noqa: ARG002
        """Return whether `variable` may be joined with others where it is small."""
        return True

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with weight decay in it; called for groups that decay."""
        return change + group.weights * (group.step.learning_rate * self.weight_decay)

    def updates(self, groups: Sequence[Group]) -> Iterator[Values]:
        """Yield the values of each group after its update; override it for a rule that couples the groups."""
        evaluate = self.evaluator()
        for group in groups:
            yield evaluate(self.updated, group)

    # What a subclass uses.

    def updated(self, group: Group) -> Values:
        """Return the values of `group` after `update(group)` and weight decay."""
        change, state = self.update(group)
        # Not the change itself: to write it and read it again costs a third of a compiled update.
        return group.weights - (self.decay(change, group) if group.layout.decays else change), state

    def evaluator(self) -> Callable[..., Any]:
        """Return a function `(rule, group, *scalars) -> rule(group, *scalars)`, compiled where that pays.

        `rule` is pure and returns tensors; what it needs besides the group are `scalars`. Make one
        evaluator an update: it traces a rule once for all large variables that are alike.
        """

        @functools.cache
        def compiled(rule: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
            def flat(
                gradient: Any, weights: Any, state: dict, number: Any, learning_rate: Any, *scalars: Any
            ) -> Any:
                step = UpdateStep(number, learning_rate, layout.dtype)
                return rule(Group(layout, gradient, weights, state, step), *scalars)

            return tf.function(flat, jit_compile=True, autograph=False)

        def evaluate(rule: Callable[..., Any], group: Group, *scalars: tf.Tensor) -> Any:
            # One pass over memory instead of one an operation. Outside a graph each step would compile anew.
            if not self.fuses or group.layout.joined or tf.executing_eagerly():
                return rule(group, *scalars)
            function = compiled(rule, dataclasses.replace(group.layout, indices=()))
            step = (group.step.number, group.step.learning_rate)
            return function(group.gradient, group.weights, dict(group.state), *step, *scalars)

        return evaluate

    def add_state(
        self,
        layout: Layout,
        name: str,
        *,
        shape: Sequence[int] | None = None,
        dtype: str | None = None,
        initializer: Any = "zeros",
    ) -> keras.Variable:
        """Return a new variable of the optimizer, on the devices of the group's weights.

        Args:
            layout: the group.
            name: the slot.
            shape: by default a number for each weight.
            dtype: by default that of the computation.
            initializer: as in Keras. What `create_state` assigns is lost under `fit`.
        """
        first = keras_private.variables_of(self)[layout.indices[0]]
        owner = "joined" if layout.joined else path_of(first).replace("/", "_")
        with keras_private.strategy_of(self).extended.colocate_vars_with(_native(first)):
            return self.add_variable(
                layout.shape if shape is None else tuple(shape),
                initializer=initializer,
                dtype=dtype or layout.dtype,
                name=f"{owner}_{name}",
            )

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
        self._decay_exclusions = path_patterns(var_list, var_names)

    def decays(self, variable: Any) -> bool:
        """Return whether weight decay applies to `variable`."""
        return bool(self.weight_decay) and not has_path(variable, self._decay_exclusions)

    # From the gradients of all variables to the updates of groups.

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for `variables`."""
        if self.built:
            return
        super().build(variables)
        found = tuple(layouts(variables, self.decays, self.joins))
        self._groups = tuple((layout, self.create_state(layout)) for layout in found)
        logger.debug("%s: %d variables in %d groups", self.name, len(variables), len(found))
        if self.weight_decay:
            without = [path_of(variable) for variable in variables if not self.decays(variable)]
            logger.debug("%s: variables without weight decay: %s", self.name, ", ".join(without) or "none")

    @tf.autograph.experimental.do_not_convert
    def apply(self, grads: Sequence, trainable_variables: Sequence | None = None) -> None:
        """Update `trainable_variables` (or the variables that the optimizer was built with) by `grads`."""
        super().apply([None if g is None else tf.convert_to_tensor(g) for g in grads], trainable_variables)

    def _update_everywhere(self, distribution: Any, pairs: Sequence, learning_rate: Any) -> None:
        on_each_replica(self.update_variables, distribution, pairs, learning_rate)

    def update_variables(
        self, gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable], learning_rate: Any
    ) -> None:
        """Update the variables of one replica by dense gradients, summed over replicas."""
        indices = [keras_private.index_of(self, variable) for variable in variables]
        gradients = keras_private.clipped(self, gradients)
        known = dict(zip(indices, zip(gradients, variables, strict=True), strict=True))
        present = [(la, state) for la, state in self._groups if not known.keys().isdisjoint(la.indices)]
        number = self.iterations + 1
        groups = [
            self._group(layout, state, known, UpdateStep(number, learning_rate, layout.dtype))
            for layout, state in present
        ]

        def assign() -> None:
            for (_, state), group, values in zip(present, groups, self.updates(groups), strict=True):
                self._assign(known, state, group, values)

        # A sum is finite only if all that it adds up is.
        sums = [tf.cast(tf.reduce_sum(group.gradient), tf.float32) for group in groups]
        tf.cond(tf.math.is_finite(tf.add_n(sums)), assign, lambda: keras_private.uncount(self))

    def _group(self, layout: Layout, state: Mapping, known: Mapping[int, tuple], step: UpdateStep) -> Group:
        """Return the tensors of a group; a variable that the loss does not reach has a gradient of zero."""
        gradients = [
            known[index][0] if index in known else tf.zeros(shape)
            for index, shape in zip(layout.indices, layout.shapes, strict=True)
        ]
        variables = keras_private.variables_of(self)
        weights = [known[i][1] if i in known else variables[i] for i in layout.indices]
        return Group(
            layout=layout,
            gradient=layout.join(gradients),
            weights=layout.join(weights),
            state={slot: tf.convert_to_tensor(variable) for slot, variable in state.items()},
            step=step,
        )

    def _assign(self, known: Mapping[int, tuple], state: Mapping, group: Group, values: Values) -> None:
        """Assign the values of a group to its state and to those of its variables that are `known`."""
        layout = group.layout
        weights, new = values
        for index, part in zip(layout.indices, layout.split(weights), strict=True):
            if index in known:
                self.assign(known[index][1], part)
        reached = [index in known for index in layout.indices]
        for slot, value in new.items():
            if not all(reached):
                value = tf.where(tf.repeat(reached, layout.sizes), value, group.state[slot])
            self.assign(state[slot], value)

    def _apply_in_replica(self, own: Callable[..., None], gradients: Sequence, variables: Sequence) -> None:
        replicated_accumulation.apply_gradients(self, own, gradients, variables)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments and what is excluded from weight decay."""
        config = {**super().get_config(), "exclude_from_weight_decay": list(self._decay_exclusions)}
        return with_arguments(self, config)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Optimizer:
        """Return the optimizer that `get_config` described."""
        config = dict(config)
        excluded = config.pop("exclude_from_weight_decay", ())
        optimizer = super().from_config(config, custom_objects)
        optimizer.exclude_from_weight_decay(var_names=excluded)
        return optimizer


def path_patterns(var_list: Iterable | None, var_names: Iterable[str] | None) -> tuple[str, ...]:
    """Return regular expressions for the paths of the given variables, and those given."""
    return (*(f"^{re.escape(variable.path)}$" for variable in var_list or ()), *(var_names or ()))


def has_path(variable: Any, patterns: Iterable[str]) -> bool:
    """Return whether the path of a variable (`"conv1/bias"`) holds one of the regular expressions."""
    return any(re.search(pattern, path_of(variable)) for pattern in patterns)


def path_of(variable: Any) -> str:
    """Return the path of a variable of Keras, the name of one of TensorFlow."""
    return getattr(variable, "path", variable.name)


def on_each_replica(
    update: Callable[[Sequence, Sequence, Any], None], distribution: Any, pairs: Sequence, learning_rate: Any
) -> None:
    """Call `update(gradients, variables, learning_rate)` with what each device holds of them.

    Args:
        update: sees the gradients summed over replicas, and the device's copy of each variable.
        distribution: the strategy, in cross-replica context (or that of the one replica there is).
        pairs: of gradient and variable; those without gradient are left out.
        learning_rate: of the update.
    """
    reached = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
    if not reached:
        return
    gradients, variables = zip(*reached, strict=True)
    distribution.extended.update(
        variables[0],
        lambda _, *arguments: update(*arguments),
        args=(list(gradients), list(variables), learning_rate),
        group=False,
    )


def _native(variable: Any) -> Any:
    return variable.value if isinstance(variable, keras.Variable) else variable
