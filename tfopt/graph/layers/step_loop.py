"""The loop of TensorFlow that runs the steps of a recurrence, and the state that layers in it share."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfopt.graph.layers.program import Call, Program, operations_of


@dataclasses.dataclass(frozen=True)
class Loop:
    """The state that layers share which are called inside a loop.

    Attributes:
        prepared: layer (by `id`) -> what its `before_loop` returned.
        notes: where layers put vectors that they want to see after the loop, in training.
    """

    prepared: dict[int, Any]
    notes: list[tf.Tensor] = dataclasses.field(default_factory=list)


_LOOP: contextvars.ContextVar[Loop | None] = contextvars.ContextVar("tfopt_loop", default=None)


def current_loop() -> Loop | None:
    """Return the loop whose body is being run, None outside of one."""
    return _LOOP.get()


@contextlib.contextmanager
def _inside(loop: Loop) -> Iterator[None]:
    token = _LOOP.set(loop)
    try:
        yield
    finally:
        _LOOP.reset(token)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepLoop:
    """Runs a program once a step.

    Attributes:
        program: takes a slice of each sequence and the states; returns the output and the new states.
        states: the inputs of the program that are states.
        start, steps: the first step that runs, and the number of all steps.
        keeps_outputs: whether the outputs of all steps are kept, not the last one alone.
        training: whether the layers in it train.
    """

    program: Program
    states: Sequence[keras.KerasTensor]
    start: int
    steps: int
    keeps_outputs: bool
    training: bool

    def run(
        self,
        slices: Callable[[Any], list[tf.Tensor]],
        output: tf.Tensor | None,
        states: Sequence[tf.Tensor],
        outputs: tf.TensorArray,
    ) -> tuple[tf.Tensor, list[tf.Tensor], tf.TensorArray]:
        """Return the output of the last step, the states after it, and the outputs of all steps.

        Args:
            slices: returns the slices of the sequences for the number of a step.
            output: of the step before, if there was one.
            states: before the first step that runs.
            outputs: where the outputs are kept.
        """
        example = slices(self.start)[0]
        batch_size = tf.shape(example)[0]
        inner = operations_of(self.program)
        prepared = self._prepared(inner, batch_size)
        noting = self._noting()
        variables = _assignable(inner) if self.training else []
        changed: set[int] = set()
        if output is None:
            output = _zeros(self.program.outputs[0], batch_size)
        states = self._cast(states)

        def step(number: Any, output: Any, states: Any, values: Any, outputs: Any, noted: Any) -> tuple:
            loop = Loop(prepared)
            output, new, after = self._step([*slices(number), *states], loop, variables, values, changed)
            if self.keeps_outputs:
                outputs = outputs.write(number, output)
            if noting:
                noted = noted.write(number - self.start, tf.concat(loop.notes, 0))
            return number + 1, output, new, after, outputs, noted

        def shape(register: keras.KerasTensor) -> tf.TensorShape:
            return tf.TensorShape([example.shape[0], *register.shape[1:]])

        # A loop has no place for assignments under a distribution strategy: the values go through it.
        values = [ops.convert_to_tensor(variable, dtype=variable.dtype) for variable in variables]
        runs = self.steps - self.start
        counts = [count for _, count in noting]
        noted = tf.TensorArray("float32", runs if noting else 0, element_shape=[sum(counts)])
        _, output, states, values, outputs, noted = tf.while_loop(
            lambda number, *_: number < self.steps,
            step,
            (tf.constant(self.start), output, states, values, outputs, noted),
            shape_invariants=(
                tf.TensorShape([]),
                shape(self.program.outputs[0]),
                [shape(register) for register in self.states],
                [value.shape for value in values],
                tf.TensorShape(None),
                tf.TensorShape(None),
            ),
            maximum_iterations=runs,
        )
        for variable, value in zip(variables, values, strict=True):
            if id(variable) in changed:
                variable.assign(value)
        if noting:
            _hand_over(noting, tf.ensure_shape(noted.stack(), [runs, sum(counts)]))
        return output, list(states), outputs

    def _step(
        self,
        inputs: list[tf.Tensor],
        loop: Loop,
        variables: list[keras.Variable],
        values: Sequence[tf.Tensor],
        changed: set[int],
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        """Return the output of a step, the states after it, and the values of the variables after it.

        Args:
            inputs: of the program.
            loop: what layers in it see.
            variables: that layers may assign to.
            values: these have before the step.
            changed: where the `id`s of those go that were assigned to.
        """
        with (
            _inside(loop),
            keras.StatelessScope(list(zip(variables, values, strict=True))) as scope,
        ):
            before = list(map(scope.get_current_value, variables))
            output, *new = self.program(inputs)
        after = list(map(scope.get_current_value, variables))
        changed.update(
            id(variable)
            for variable, old, now in zip(variables, before, after, strict=True)
            if now is not old
        )
        return output, self._cast(new), after

    def _prepared(self, inner: Sequence[Any], batch_size: tf.Tensor) -> dict[int, Any]:
        """Return what layers need but once in all steps, by the `id` of the layer."""
        return {
            id(layer): layer.before_loop(
                calls=[call.kwargs for call in self.program.calls if call.operation is layer],
                steps=self.steps - self.start,
                batch_size=batch_size,
                training=self.training,
            )
            for layer in inner
            if hasattr(layer, "before_loop")
        }

    def _noting(self) -> list[tuple[Call, int]]:
        """Return the calls in training that note numbers, and how many each notes."""
        return [
            (call, count)
            for call in (self.program.calls if self.training else ())
            if hasattr(call.operation, "notes") and (count := call.operation.notes(**call.kwargs))
        ]

    def _cast(self, states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [tf.cast(state, register.dtype) for state, register in zip(states, self.states, strict=True)]


def _hand_over(noting: Sequence[tuple[Call, int]], noted: tf.Tensor) -> None:
    """Give layers the numbers that they noted in all steps."""
    numbers = tf.split(noted, [count for _, count in noting], axis=1)
    for (call, _), columns in zip(noting, numbers, strict=True):
        operation: Any = call.operation
        operation.after_loop(columns, **call.kwargs)


def _zeros(register: keras.KerasTensor, batch_size: tf.Tensor) -> tf.Tensor:
    return tf.zeros([batch_size, *register.shape[1:]], register.dtype)


def _assignable(operations: Sequence[Any]) -> list[keras.Variable]:
    """Return what layers may change by themselves when they are called in training."""
    found: dict[int, keras.Variable] = {}
    for layer in operations:
        if isinstance(layer, keras.layers.Layer):
            moving = getattr(layer, "moving_variables", layer.non_trainable_variables)
            found.update({id(variable): variable for variable in moving})
    return list(found.values())
