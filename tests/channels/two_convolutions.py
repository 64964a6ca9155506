"""Dependencies written by hand, of a model of two convolutions, so that criteria are tested by themselves."""

import keras
import numpy as np

from tfopt.channels.groups import Dependencies, Group, Slice

FIRST, SECOND = np.arange(8), np.arange(8, 20)
"""The units of the two convolutions."""


def two_convolutions(seed=0):
    """Return the dependencies of conv1 (8 channels) - bn1 - ReLU - conv2 (12) - ReLU - mean - head."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6, 6, 3), name="image")
    tensors = [keras.layers.Conv2D(8, 3, use_bias=False, name="conv1")(inputs)]
    tensors.append(keras.layers.BatchNormalization(name="bn1")(tensors[-1]))
    tensors.append(keras.layers.ReLU(name="relu1")(tensors[-1]))
    tensors.append(keras.layers.Conv2D(12, 3, name="conv2")(tensors[-1]))
    tensors.append(keras.layers.ReLU(name="relu2")(tensors[-1]))
    tensors.append(keras.layers.GlobalAveragePooling2D(name="mean")(tensors[-1]))
    model = keras.Model(inputs, keras.layers.Dense(4, name="head")(tensors[-1]), name="two_convolutions")
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape) * rng.choice([-1, 1], variable.shape))
    bn1 = model.get_layer("bn1")
    bn1.moving_variance.assign(np.abs(bn1.moving_variance.numpy()))
    conv1, conv2, head = (model.get_layer(name) for name in ("conv1", "conv2", "head"))
    slices = (
        Slice("conv1", conv1.kernel, 3, FIRST, made=True),
        *(Slice("bn1", variable, 0, FIRST, made=False) for variable in bn1.variables),
        Slice("conv2", conv2.kernel, 2, FIRST, made=False),
        Slice("conv2", conv2.kernel, 3, SECOND, made=True),
        Slice("conv2", conv2.bias, 0, SECOND, made=True),
        Slice("head", head.kernel, 0, SECOND, made=False),
    )
    axes = {id(tensor): (None, None, None, FIRST) for tensor in tensors[:3]}
    axes |= {id(tensor): (None, None, None, SECOND) for tensor in tensors[3:5]}
    axes[id(tensors[5])] = (None, SECOND)
    groups = (Group("conv1", FIRST), Group("conv2", SECOND))
    return Dependencies(model, groups, slices, {"head": "an output of the model"}, axes)


def scale_unit(dependencies, unit, factor):
    """Multiply what makes a unit, and the normalization after it, by a factor."""
    for part in dependencies.slices:
        if part.variable.name.startswith("moving"):
            continue
        values = part.variable.numpy()
        index = [slice(None)] * values.ndim
        index[part.axis] = part.units == unit
        values[tuple(index)] *= factor
        part.variable.assign(values)


def permuted(dependencies, order):
    """Return the same model with the units of conv2 in another order: position i holds what order[i] held."""
    changed = two_convolutions()
    for new, old in zip(changed.model.variables, dependencies.model.variables, strict=True):
        new.assign(old.numpy())
    for part in changed.slices:
        if np.isin(part.units, SECOND).all():
            part.variable.assign(np.take(part.variable.numpy(), order, axis=part.axis))
    return changed


def data(samples=64, seed=0):
    """Return images and labels."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, 6, 6, 3)).astype("float32"), rng.integers(0, 4, samples)
