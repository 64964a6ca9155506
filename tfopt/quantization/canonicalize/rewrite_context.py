"""Where a rewriting puts the layers that it makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfopt.graph import Loss, NotSymbolic, producer

Made = dict[str, tuple[keras.Layer, Sequence[keras.Variable]]]
"""Name -> the layer and the variables whose values are its weights."""


class Paths(dict[str, str]):
    """Name -> path of every operation of a canonical model.

    Attributes:
        closed: the path of each layer whose code could not be read -> why.
        losses: what the model adds to its loss, as tensors that are made of those of the canonical model.
        unread_losses: the layers whose losses are those of inference alone, and why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.closed: dict[str, NotSymbolic] = {}
        self.losses: list[Loss] = []
        self.unread_losses: list[str] = []


@dataclasses.dataclass(frozen=True)
class Place:
    """The name and path that a rewriting may use, and what was made under them.

    Attributes:
        name: of the operation that is rewritten; its parts are called `name.part`.
        path: of that operation; its parts have the path `path/part`.
        made: the layers made so far in the whole model. A shared layer is rewritten in each of its calls,
            under one name, and so stays shared.
        paths: name -> path of every operation.
        near: a tensor that the operation is called with.
        wide: whether the activations of the operation have 16 bits.
    """

    name: str
    path: str
    made: Made
    paths: dict[str, str]
    near: keras.KerasTensor
    wide: bool = False

    @property
    def reference(self) -> keras.KerasTensor:
        """An input of the model, or of the step of a loop; its first axis is the batch."""
        tensor = self.near
        while (made := producer(tensor)) is not None and made.inputs:
            tensor = made.inputs[0]
        return tensor

    def part(self, name: str) -> Place:
        """Return the place of a part of the operation."""
        return dataclasses.replace(self, name=f"{self.name}.{name}", path=f"{self.path}/{name}")

    def sibling(self, name: str, part: str) -> Place:
        """Return the place of a part of another operation of the model, of the name `name`."""
        path = self.paths.get(name, name)
        return dataclasses.replace(self, name=f"{name}.{part}", path=f"{path}/{part}")

    def layer(
        self,
        make: Callable[..., keras.Layer],
        *args: Any,
        weights: Sequence[keras.Variable] = (),
        **config: Any,
    ) -> keras.Layer:
        """Return the layer of this place, made by `make(*args, **config)` in the first call."""
        if self.name not in self.made:
            self.made[self.name] = (make(*args, **config, name=self.name), weights)
            self.paths[self.name] = self.path
        return self.made[self.name][0]
