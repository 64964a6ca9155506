"""Where a rewrite puts the layers that it creates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfopt.graph import Loss, NotSymbolic, producer

Created = dict[str, tuple[keras.Layer, Sequence[keras.Variable]]]
"""Name -> the layer and the variables whose values are its weights."""


class Paths(dict[str, str]):
    """Name -> path of every operation of a canonical model.

    Attributes:
        left_whole: the path of each layer whose code could not be read -> why.
        losses: what the model adds to its loss, as tensors that are computed of those of the canonical model.
        unread_losses: the layers whose losses are those of inference alone, and why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left_whole: dict[str, NotSymbolic] = {}
        self.losses: list[Loss] = []
        self.unread_losses: list[str] = []


@dataclasses.dataclass(frozen=True)
class RewriteContext:
    """The name and path that a rewrite may use, and the layers created under them.

    Attributes:
        name: of the operation that is rewritten; its parts are called `name.part`.
        path: of that operation; its parts have the path `path/part`.
        created: the layers of all rewrites so far in the whole model. A shared layer is rewritten in each of
            its calls, under one name, and so stays shared.
        paths: name -> path of every operation.
        near: a tensor that the operation is called with.
        int16: whether the activations of the operation have 16 bits.
    """

    name: str
    path: str
    created: Created
    paths: dict[str, str]
    near: keras.KerasTensor
    int16: bool = False

    @property
    def reference(self) -> keras.KerasTensor:
        """An input of the model, or of the step of a loop; its first axis is the batch."""
        tensor = self.near
        while (maker := producer(tensor)) is not None and maker.inputs:
            tensor = maker.inputs[0]
        return tensor

    def part(self, name: str) -> RewriteContext:
        """Return the context of a part of the operation."""
        return dataclasses.replace(self, name=f"{self.name}.{name}", path=f"{self.path}/{name}")

    def sibling(self, name: str, part: str) -> RewriteContext:
        """Return the context of a part of another operation of the model, of the name `name`."""
        path = self.paths.get(name, name)
        return dataclasses.replace(self, name=f"{name}.{part}", path=f"{path}/{part}")

    def layer(
        self,
        make: Callable[..., keras.Layer],
        *args: Any,
        weights: Sequence[keras.Variable] = (),
        **config: Any,
    ) -> keras.Layer:
        """Return the layer of this name, created by `make(*args, **config)` in the first call."""
        if self.name not in self.created:
            self.created[self.name] = (make(*args, **config, name=self.name), weights)
            self.paths[self.name] = self.path
        return self.created[self.name][0]
