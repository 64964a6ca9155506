"""A part of a model that runs several times, as a list of calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from tfopt.graph import _keras
from tfopt.graph.walk import Node, as_node

_REGISTER = "tfopt_register"


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation, with `KerasTensor`s where tensors stand."""

    operation: keras.Operation
    args: tuple
    kwargs: dict[str, Any]
    outputs: tuple[keras.KerasTensor, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """Calls that make outputs of inputs.

    Unlike a functional model it leaves no trace in the layers that it calls, so that it can share them with
    the model that it stands in, through a saved file too.

    Attributes:
        inputs, outputs: what it takes and returns; only shapes and dtypes count.
        calls: in the order in which they run.
    """

    inputs: tuple[keras.KerasTensor, ...]
    calls: tuple[Call, ...]
    outputs: tuple[keras.KerasTensor, ...]

    @classmethod
    def of(cls, inputs: Sequence[keras.KerasTensor], outputs: Sequence[keras.KerasTensor]) -> Program:
        """Return what makes symbolic `outputs` of `inputs`."""
        registers: dict[int, keras.KerasTensor] = {}

        def register(value: Any) -> Any:
            if not isinstance(value, keras.KerasTensor):
                return value
            return registers.setdefault(id(value), keras.KerasTensor(value.shape, value.dtype))

        calls = []
        for operation, args, kwargs, made in _keras.calls(keras.Model(list(inputs), list(outputs))):
            # Keras notes for some layers that nobody trained as they were called.
            kwargs = {name: value for name, value in kwargs.items() if name != "training"}
            args, kwargs = keras.tree.map_structure(register, (args, kwargs))
            calls.append(Call(operation, args, kwargs, tuple(map(register, made))))
        return cls(tuple(map(register, inputs)), tuple(calls), tuple(map(register, outputs)))

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs for tensors."""
        known = {id(register): value for register, value in zip(self.inputs, inputs, strict=True)}

        def fill(value: Any) -> Any:
            return known[id(value)] if isinstance(value, keras.KerasTensor) else value

        for call in self.calls:
            args, kwargs = keras.tree.map_structure(fill, (call.args, call.kwargs))
            results = keras.tree.flatten(call.operation(*args, **kwargs))
            known.update({id(old): result for old, result in zip(call.outputs, results, strict=True)})
        return [known[id(register)] for register in self.outputs]

    def nodes(self, prefix: str = "") -> list[Node]:
        """Return the calls as nodes; `prefix` is the path of the model around it."""
        return [
            as_node(prefix, call.operation, call.args, call.kwargs, list(call.outputs)) for call in self.calls
        ]

    def get_config(self, operations: Sequence[keras.Operation]) -> dict[str, Any]:
        """Return the calls as data, with the places of their operations in `operations`."""
        places = {id(operation): place for place, operation in enumerate(operations)}
        numbers: dict[int, int] = {}
        registers: list[dict[str, Any]] = []
        tensors = [*self.inputs, *(x for call in self.calls for x in call.outputs), *self.outputs]
        for tensor in tensors:
            if id(tensor) not in numbers:
                numbers[id(tensor)] = len(registers)
                registers.append({"shape": list(tensor.shape), "dtype": tensor.dtype})

        def marked(value: Any) -> Any:
            return {_REGISTER: numbers[id(value)]} if isinstance(value, keras.KerasTensor) else value

        def numbered(values: Sequence[keras.KerasTensor]) -> list[int]:
            return [numbers[id(value)] for value in values]

        return {
            "registers": registers,
            "inputs": numbered(self.inputs),
            "outputs": numbered(self.outputs),
            "calls": [
                {
                    "operation": places[id(call.operation)],
                    "arguments": keras.saving.serialize_keras_object(
                        keras.tree.map_structure(marked, [call.args, call.kwargs])
                    ),
                    "outputs": numbered(call.outputs),
                }
                for call in self.calls
            ],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], operations: Sequence[keras.Operation]) -> Program:
        """Return the program that `get_config` described."""
        registers = [keras.KerasTensor(tuple(each["shape"]), each["dtype"]) for each in config["registers"]]

        def bound(value: Any) -> Any:
            if isinstance(value, dict):
                if _REGISTER in value:
                    return registers[value[_REGISTER]]
                return {key: bound(each) for key, each in value.items()}
            if isinstance(value, (list, tuple)):
                return type(value)(map(bound, value))
            return value

        def taken(numbers: Sequence[int]) -> tuple[keras.KerasTensor, ...]:
            return tuple(registers[number] for number in numbers)

        calls = []
        for each in config["calls"]:
            args, kwargs = bound(keras.saving.deserialize_keras_object(each["arguments"]))
            calls.append(Call(operations[each["operation"]], tuple(args), kwargs, taken(each["outputs"])))
        return cls(taken(config["inputs"]), tuple(calls), taken(config["outputs"]))


def operations_of(*programs: Program | None) -> list[keras.Operation]:
    """Return the operations that programs call, each once."""
    found: dict[int, keras.Operation] = {}
    for program in programs:
        for call in () if program is None else program.calls:
            found.setdefault(id(call.operation), call.operation)
    return list(found.values())
