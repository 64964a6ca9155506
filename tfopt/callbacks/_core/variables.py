"""Variables of a model by layer path, and variables that callbacks hold during one training."""

from typing import Any

import keras
import tensorflow as tf


def layer_paths(model: keras.Model, prefix: str = "") -> dict[int, str]:
    """Return `id(variable)` -> path of its layer (`"outer/inner/conv"`) of all trainable variables.

    Works on subclassed models too, as far as their layers are attributes.
    """
    paths: dict[int, str] = {}
    for layer in model.layers:
        path = prefix + layer.name
        if isinstance(layer, keras.Model):
            found = layer_paths(layer, path + "/")
        elif getattr(layer, "tfopt_bridge", False):  # a whole model, whose variables know their layers
            found = {id(each): each.path.rpartition("/")[0] for each in layer.trainable_variables}
        else:
            found = {id(variable): path for variable in layer.trainable_variables}
        # A layer that is shared keeps its first path.
        paths |= {variable: path for variable, path in found.items() if variable not in paths}
    return paths


def replicated(model: keras.Model, name: str, value: Any, *, per_replica: bool = False) -> keras.Variable:
    """Return a float32 variable that the training step of `model` can use.

    Args:
        model: a compiled model, for its `tf.distribute` strategy.
        name: the variable's name.
        value: the initial value, a number or nested lists or an array of numbers.
        per_replica: each replica has its own, of which the first is read. Only such a one can be assigned to
            in a replica without waiting for the others, and so inside `tf.cond`.
    """
    with model.distribute_strategy.scope():
        return keras.Variable(
            tf.constant(value, tf.float32),
            trainable=False,
            name=name,
            aggregation="only_first_replica",
            synchronization="on_read" if per_replica else "auto",
        )
