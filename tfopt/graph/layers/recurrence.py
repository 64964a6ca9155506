"""A recurrence as one layer: its steps run in a loop in training and are unrolled in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfopt.graph.layers.program import Program, operations_of
from tfopt.graph.layers.step_loop import StepLoop
from tfopt.graph.layers.tie import shared_config

Run = Callable[[Program, list[Any]], list[Any]]
"""Runs a program on tensors and returns its outputs."""


@keras.saving.register_keras_serializable(package="tfopt")
class Recurrence(keras.layers.Layer):
    """Runs a step over the time axis of its inputs.

    It is called with a list: `sequences` tensors of the shape `(batch, steps, ...)`, and after them the
    states before the first step, as many as the program of that step takes. It returns a list: the outputs
    of all steps `(batch, steps, ...)` or of the last one, and the states after the last step.

    A layer in it may have three methods. `before_loop` returns what it needs but once in all steps, which it
    finds in `current_loop().prepared`; it is told the keyword arguments of its `calls`, the number of
    `steps`, the `batch_size` and whether it is `training`. `notes(**kwargs)` returns how many
    numbers it puts into `current_loop().notes` when it is called so in training, and
    `after_loop(numbers, **kwargs)` gets those of all steps, `(steps, count)`.

    Args:
        body: takes one slice of each sequence and the states; returns the output of the step and the new
            states.
        first: the same for the first step, where that differs: from no states where they are zero, say.
        steps: how many there are, 1 or more.
        sequences: how many sequences there are, 1 or more.
        return_sequences: whether to return the outputs of all steps.
        backwards: whether the last step is the first to run.
        in_order: whether outputs stand in the order of time; else in the order in which they were made.
        unroll: whether a graph holds the steps one after another. Names in it are then those of the layers,
            as if no recurrence were around them.
    """

    tfopt_loop = True

    def __init__(
        self,
        body: Program | None,
        first: Program | None,
        steps: int,
        sequences: int = 1,
        return_sequences: bool = False,
        backwards: bool = False,
        in_order: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.body = body
        self.first = first
        self.steps = steps
        self.sequences = sequences
        self.return_sequences = return_sequences
        self.backwards = backwards
        self.in_order = in_order
        self.unroll = unroll
        self.operations = operations_of(first, body)
        self.inner_layers = [each for each in self.operations if isinstance(each, keras.layers.Layer)]
        self.supports_masking = True  # one that comes with a tensor is not for it, and ends here
        self.built = True

    @property
    def programs(self) -> list[Program]:
        """The programs in the order in which they run: the first step, if it differs, then the body."""
        return [program for program in (self.first, self.body) if program is not None]

    def times(self, program: Program) -> int:
        """Return how often one of its programs runs in a call."""
        if program is self.first:
            return 1
        return self.steps - (self.first is not None)

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """Run all steps."""
        if self.unroll:
            with tf.name_scope(tf.get_current_name_scope().rpartition("/")[0] + "/"):
                return self.run(inputs, lambda program, tensors: program(tensors))
        read = [_by_step(x, self.steps) for x in inputs[: self.sequences]]
        states = list(inputs[self.sequences :])

        def slices(step: Any) -> list[tf.Tensor]:
            return [array.read(self.steps - 1 - step if self.backwards else step) for array in read]

        start = 0
        output = None
        register = self.programs[-1].outputs[0]
        outputs = tf.TensorArray(
            register.dtype,
            size=self.steps if self.return_sequences else 0,
            element_shape=(inputs[0].shape[0], *register.shape[1:]),
        )
        if self.first is not None:
            start = 1
            output, *states = self.first([*slices(0), *states])
            if self.return_sequences:
                outputs = outputs.write(0, output)
        if self.steps > start:
            assert self.body is not None
            loop = StepLoop(
                program=self.body,
                states=self.body.inputs[self.sequences :],
                start=start,
                steps=self.steps,
                keeps_outputs=self.return_sequences,
                training=bool(training),
            )
            output, states, outputs = loop.run(slices, output, states, outputs)
        if not self.return_sequences:
            return [output, *states]
        stacked = outputs.stack()
        if self.backwards and self.in_order:
            stacked = tf.reverse(stacked, [0])
        return [_swapped(stacked), *states]

    def run(
        self,
        inputs: Sequence[Any],
        run: Run,
        steps: int | None = None,
        moved: Callable[[Any], Any] = lambda tensors: tensors,
        left: Callable[[Any], Any] = lambda tensor: tensor,
    ) -> list[Any]:
        """Return what `call` does, made of one run of a program after the other.

        Args:
            inputs: tensors, or symbolic ones.
            run: runs a program.
            steps: stop after so many; the rest of the outputs is the last one.
            moved: is called with sequences as they are taken apart and put together, and returns them.
            left: is called with what is returned just as the last step made it, and returns that.
        """
        count = min(self.steps, steps or self.steps)
        read = [moved(ops.unstack(x, self.steps, axis=1)) for x in inputs[: self.sequences]]
        states = list(inputs[self.sequences :])
        outputs = []
        for number in range(count):
            place = self.steps - 1 - number if self.backwards else number
            program: Any = self.first if number == 0 and self.first is not None else self.body
            output, *states = run(program, [*(x[place] for x in read), *states])
            outputs.append(output)
        if not self.return_sequences:
            return [left(outputs[-1]), *map(left, states)]
        if self.backwards and self.in_order:
            outputs.reverse()
        outputs += [outputs[-1]] * (self.steps - count)
        return [moved(ops.stack(outputs, axis=1)), *map(left, states)]

    def replayed(self, run: Run, name: str) -> Recurrence:
        """Return a recurrence of the same kind whose programs are what `run` makes of symbolic inputs."""

        def made(program: Program | None) -> Program | None:
            if program is None:
                return None
            inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in program.inputs]
            return Program.of(inputs, run(program, inputs))

        settings = {name: getattr(self, name) for name in _SETTINGS}
        first = made(self.first)
        return Recurrence(made(self.body), first, **settings, dtype=self.dtype_policy, name=name)

    def compute_output_spec(self, inputs: Sequence[Any], training: Any = None) -> list[keras.KerasTensor]:
        """Return shapes and dtypes of what `call` returns."""
        del training
        batch = inputs[0].shape[0]
        output, *states = (
            keras.KerasTensor((batch, *register.shape[1:]), register.dtype)
            for register in self.programs[-1].outputs
        )
        if self.return_sequences:
            output = keras.KerasTensor((batch, self.steps, *output.shape[1:]), output.dtype)
        return [output, *states]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Return None: masks are sequences like others here."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "operations": [shared_config(each) for each in self.operations],
            **{
                name: None if program is None else program.get_config(self.operations)
                for name, program in (("body", self.body), ("first", self.first))
            },
            **{name: getattr(self, name) for name in _SETTINGS},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Recurrence:
        """Return the recurrence that `get_config` described."""
        config = dict(config)
        operations = [keras.saving.deserialize_keras_object(each) for each in config.pop("operations")]
        body, first = (
            None if config[name] is None else Program.from_config(config.pop(name), operations)
            for name in ("body", "first")
        )
        return cls(**{**config, "body": body, "first": first})


_SETTINGS = ("steps", "sequences", "return_sequences", "backwards", "in_order", "unroll")


def _by_step(x: tf.Tensor, steps: int) -> tf.TensorArray:
    array = tf.TensorArray(
        x.dtype, size=steps, clear_after_read=False, element_shape=(x.shape[0], *x.shape[2:])
    )
    return array.unstack(_swapped(x))


def _swapped(x: tf.Tensor) -> tf.Tensor:
    """Return a tensor with its first two axes swapped."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
