"""A variable that is another layer's, as a part of a config."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras


def shared_config(layer: keras.Layer) -> dict[str, Any]:
    """Return the config of a layer inside of another, by which Keras finds the one layer in all places.

    Keras numbers only the layers that it serializes itself.
    """
    return keras.saving.serialize_keras_object(layer) | {"shared_object_id": id(layer)}


@dataclasses.dataclass(frozen=True, eq=False)
class Tie:
    """Says whose variable a layer has. It is no part of the layer: Keras tracks no such objects.

    Attributes:
        layer: of the same model; built.
        attribute: the name by which that layer has the variable.
    """

    layer: keras.Layer
    attribute: str

    @property
    def variable(self) -> keras.Variable:
        """The variable."""
        return getattr(self.layer, self.attribute)

    def get_config(self) -> dict[str, Any]:
        """Return the layer, which Keras reads as the very layer of the model, and the attribute."""
        return {"layer": shared_config(self.layer), "attribute": self.attribute}

    @classmethod
    def from_config(cls, config: dict[str, Any] | None) -> Tie | None:
        """Return what `get_config` described; None for None."""
        if config is None:
            return None
        return cls(keras.saving.deserialize_keras_object(config["layer"]), config["attribute"])
