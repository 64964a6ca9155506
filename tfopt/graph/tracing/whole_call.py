"""A model whose code cannot be read, as a graph of one call.

Writing a file needs no look into a model: TensorFlow traces whatever its `call` does.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from tfopt.errors import UnsupportedModel
from tfopt.graph import _keras
from tfopt.graph.structural_copy import StructuralCopy
from tfopt.graph.tracing.trace import plain_text
from tfopt.graph.walk import require_built

logger = logging.getLogger(__name__)


def as_graph(model: keras.Model) -> keras.Model:
    """Return `model` where it is functional; else a functional model of its inputs and one call of a copy.

    The copy has the variables of `model`. Inputs are of float32 if the model runs on that, for Keras notes
    shapes alone, and an embedding takes such indices too; else of int32 where it does on that.

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
    copied = StructuralCopy(share_variables=True)(model)
    failed = None
    for dtypes in itertools.product(("float32", "int32"), repeat=min(_count(shapes), _MOST_INPUTS)):
        inputs = _inputs(shapes, itertools.chain(dtypes, itertools.repeat("float32")))
        try:
            whole = keras.Model(inputs, copied(inputs), name=model.name)
        except Exception as error:  # noqa: BLE001 (whatever users' code raises)
            failed = failed or error
            continue
        logger.debug("the model %s is one call, on inputs of %s", model.name, ", ".join(dtypes))
        return whole
    raise UnsupportedModel(
        f"The subclassed model {model.name!r} ({type(model).__name__}) cannot run on symbolic tensors: "
        f"{type(failed).__name__}: {plain_text(failed)} Its call() must run inside of a tf.function."
    ) from failed


_MOST_INPUTS = 3
"""How many inputs are tried out as integers."""


def _count(shapes: Any) -> int:
    if isinstance(shapes, Mapping):
        return sum(map(_count, shapes.values()))
    return sum(map(_count, shapes)) if shapes and isinstance(shapes[0], (list, tuple)) else 1


def _inputs(shapes: Any, dtypes: Iterator[str]) -> Any:
    """Return inputs of the structure of `shapes`, any batch size."""
    if isinstance(shapes, Mapping):
        return {name: _inputs(shape, dtypes) for name, shape in shapes.items()}
    if shapes and isinstance(shapes[0], (list, tuple)):
        return [_inputs(shape, dtypes) for shape in shapes]
    return keras.Input(tuple(shapes[1:]), dtype=next(dtypes))
