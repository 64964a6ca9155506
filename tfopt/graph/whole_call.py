"""A model whose code cannot be read, as a graph of one call.

Writing a file needs no look into a model: TensorFlow traces whatever its `call` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfopt.errors import UnsupportedModel
from tfopt.graph import _keras
from tfopt.graph.structural_copy import StructuralCopy
from tfopt.graph.walk import require_built


def as_graph(model: keras.Model) -> keras.Model:
    """Return `model` where it is functional; else a functional model of its inputs and one call of a copy.

    The copy has the variables of `model`. Inputs are of float32 where the model does not say more, for Keras
    notes shapes alone; an embedding takes such indices too.

    Raises:
        InvalidArgumentError: the model has not been built.
        UnsupportedModel: it does not know the shapes of its inputs, or cannot run on symbolic tensors.
    """
    require_built(model)
    if _keras.functional(model) is not None:
        return model
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        raise UnsupportedModel(
            f"The subclassed model {model.name!r} does not know its input shapes: call it once on a batch of "
            "data, as model(x)."
        )
    inputs = _inputs(shapes)
    copied = StructuralCopy(share_variables=True)(model)
    try:
        return keras.Model(inputs, copied(inputs), name=model.name)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1]
        raise UnsupportedModel(
            f"The subclassed model {model.name!r} ({type(model).__name__}) cannot run on symbolic tensors: "
            f"{type(error).__name__}: {reason} Its call() must run inside of a tf.function."
        ) from error


def _inputs(shapes: Any) -> Any:
    """Return inputs of the structure of `shapes`, any batch size."""
    if isinstance(shapes, Mapping):
        return {name: _inputs(shape) for name, shape in shapes.items()}
    if shapes and isinstance(shapes[0], (list, tuple)):
        return [_inputs(shape) for shape in shapes]
    return keras.Input(tuple(shapes[1:]))
