"""How a model of the zoo is entered: a builder in a table by name, with what the runner must know of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

SAMPLES = 40
"""Samples of every model's data: enough that one near tie does not decide over an agreement of 95 %."""


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Attributes:
        build: returns (model, samples), the samples as `model.predict` takes them.
        source: the collection whose style it has.
        classification: whether its outputs choose a class.
    """

    build: Callable[[], tuple[keras.Model, Any]]
    source: str
    classification: bool


class Table(dict[str, Entry]):
    """Name -> entry; its `add` is a decorator for builders."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source

    def add(self, build=None, *, classification=True):
        """Enter a builder under its name. Without classes, the file's answers are compared as numbers."""
        if build is None:
            return lambda build: self.add(build, classification=classification)
        self[build.__name__] = Entry(build, self.source, classification)
        return build


def images(*shape, low=0.0, high=1.0):
    """Return smooth random images, channels last: white noise looks all the same to a network."""
    rng = np.random.default_rng(0)
    height, width, channels = shape
    coarse = rng.uniform(low, high, (SAMPLES, 3, 3, channels))
    rows, columns = (np.linspace(0, 2, size) for size in (height, width))
    for axis, at in ((1, rows), (2, columns)):
        below = np.minimum(at.astype(int), 1)
        share = (at - below).reshape([-1 if i == axis else 1 for i in range(4)])
        coarse = np.take(coarse, below, axis) * (1 - share) + np.take(coarse, below + 1, axis) * share
    return (coarse + rng.normal(0, 0.02 * (high - low), coarse.shape)).astype("float32")


def series(*shape, scale=1.0):
    """Return random walks along the first axis of `shape`, centred and of about `scale`."""
    steps = np.random.default_rng(1).normal(size=(SAMPLES, *shape))
    walk = np.cumsum(steps, axis=1) if len(shape) > 1 else steps
    walk -= walk.mean(axis=1, keepdims=True) * (len(shape) > 1)
    return (scale * walk / walk.std()).astype("float32")


def tokens(length, vocabulary, low=1, dtype="int32"):
    """Return random token ids of (samples, length)."""
    return np.random.default_rng(2).integers(low, vocabulary, (SAMPLES, length)).astype(dtype)


def numbers(*shape, low=-1.0, high=1.0):
    """Return uniform numbers of (samples, *shape)."""
    return np.random.default_rng(3).uniform(low, high, (SAMPLES, *shape)).astype("float32")
