"""Models whose dependencies are written down by hand."""

import keras
import numpy as np

from tfopt.channels.groups import FIXED, Dependencies, Group, Slice


def chain(widths=(32, 64, 16), size=16, classes=10):
    """Return the dependencies of convolutions in a row, each with batch normalization, and a Dense layer.

    Each has a group; the Dense layer reads the last one's channels of 2 x 2 pixels, flattened.
    """
    inputs = keras.Input((size, size, 3))
    x, axes, groups, slices, before, start = inputs, {}, [], [], None, 0
    for number, width in enumerate(widths):
        units = np.arange(start, start + width)
        start += width
        conv = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{number}")
        norm = keras.layers.BatchNormalization(name=f"norm{number}")
        x = conv(x)
        axes[id(x)] = (None, None, None, units)
        x = norm(x)
        axes[id(x)] = (None, None, None, units)
        groups.append(Group(conv.name, units))
        slices.append(Slice(conv.name, conv.kernel, 3, units, True))
        if before is not None:
            slices.append(Slice(conv.name, conv.kernel, 2, before, False))
        slices += [Slice(norm.name, variable, 0, units, False) for variable in norm.weights]
        before = units
    x = keras.layers.AveragePooling2D(size // 2)(x)
    x = keras.layers.Flatten()(x)
    units = np.tile(before, 4)
    axes[id(x)] = (None, units)
    dense = keras.layers.Dense(classes, name="head")
    model = keras.Model(inputs, dense(x))
    slices.append(Slice("head", dense.kernel, 0, units, False))
    return Dependencies(model, tuple(groups), tuple(slices), {"head": "it makes the outputs"}, axes)


def counted(widths, kept, size=16, classes=10):
    """Return multiply-accumulates and weights of `chain` with so many channels left, counted by Keras."""
    from tfopt import measure

    smaller = chain(kept, size, classes).model
    assert len(kept) == len(widths)
    return measure.macs(smaller), smaller.count_params()


__all__ = ["FIXED", "chain", "counted"]
