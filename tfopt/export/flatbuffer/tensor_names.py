"""Names of a file's tensors: from TensorFlow's scopes to the layers of the Keras model.

TensorFlow calls a convolution `small_cnn_1/block.conv_1/convolution`, numbering each scope that it enters,
and the converter joins the names of what it fuses with `;`. A person wants to read `block/conv`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LAYER_END = ":"
"""The separator of a layer's path and the operation in it: `block/conv:convolution`."""

_NUMBER = re.compile(r"_\d+$")


@dataclass(frozen=True, kw_only=True)
class TensorNames:
    """What a frozen graph's nodes have to do with a Keras model.

    Attributes:
        model: the model's name.
        layers: the name of a layer in the graph -> its path in the Keras model.
        sources: node that only passes a tensor on -> the node that it takes it from.
    """

    model: str
    layers: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)

    def readable(self, name: str) -> str:
        """Return a tensor's name with layer paths in place of scopes."""
        return ";".join(dict.fromkeys(self._part(part) for part in name.split(";")))

    def _part(self, name: str) -> str:
        while name in self.sources:
            name = self.sources[name]
        scopes = name.split("/")
        if len(scopes) > 1 and self.model in (scopes[0], _NUMBER.sub("", scopes[0])):
            scopes = scopes[1:]
        if len(scopes) < 2:
            return scopes[0]
        known = next((each for each in (_NUMBER.sub("", scopes[0]), scopes[0]) if each in self.layers), None)
        if known is None:
            return "/".join(scopes)
        return self.layers[known] + LAYER_END + "/".join(scopes[1:])


def unique(name: str, taken: set[str]) -> str:
    """Return `name`, with `_1`, `_2`... after it where it is in `taken` already, and add it there."""
    candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
    chosen = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(chosen)
    return chosen


def layer_of(tensor: str) -> str:
    """Return the layer that a tensor's name tells of; several, joined by ` + `, where they were fused.

    In a file that tfopt wrote, the part before the colon; in another one, the scopes between the
    model's and the operation's.

    Example:
        >>> layer_of("relu1:Relu;block/conv1:convolution")
        'relu1 + block/conv1'
    """
    return " + ".join(dict.fromkeys(_layer(part) for part in tensor.split(";")))


def layers_in(tensor: str) -> list[str]:
    """Return the layers of a tensor's name in a file that tfopt wrote: the part before each colon."""
    return list(dict.fromkeys(part.split(LAYER_END)[0] for part in tensor.split(";")))


def _layer(part: str) -> str:
    part = re.sub(r":\d+$", "", part)
    if LAYER_END in part:
        return part.split(LAYER_END)[0]
    scopes = part.split("/")
    return "/".join(scopes[1:-1]) or scopes[-1]
