"""Files of float models in any scheme, weights as they are: what they will cost, before any training."""

from __future__ import annotations

from typing import Any, cast

import keras
import numpy as np

from tfopt import graph
from tfopt.budgets import Budgets
from tfopt.data.representative import Representative
from tfopt.errors import InvalidArgumentError
from tfopt.export.convert import to_tflite
from tfopt.export.schemes import FILE_SCHEMES, SchemeName
from tfopt.measure.steady_ratio import steady_ratio
from tfopt.quantization import calibrate, quantize_aware
from tfopt.quantization.scheme import SCHEMES

_SAMPLES = 10
_ERRORS = 2
"""How many standard errors are added to a measured time, so that chance makes a file slower, not faster."""


def check_scheme(scheme: Any) -> str:
    """Return the name of a scheme, of files or of quantization-aware training, if it is one.

    Raises:
        InvalidArgumentError: it is none.
    """
    known = dict.fromkeys([*FILE_SCHEMES, *SCHEMES])
    if scheme not in known:
        raise InvalidArgumentError(f"scheme must be one of {', '.join(known)}, got {scheme!r}.")
    return str(scheme)


def untrained(model: keras.Model, scheme: str, samples: Representative | None = None) -> bytes:
    """Return a model as a file in a scheme, its weights as they are.

    Args:
        model: in float.
        scheme: by name.
        samples: for the ranges of activations; None for random ones, which change neither size nor time.

    Raises:
        InvalidArgumentError: samples are needed, and the model leaves sizes open that random ones must have.
    """
    integer = scheme not in FILE_SCHEMES or FILE_SCHEMES[scheme].integer
    if integer and samples is None:
        samples = _random_samples(model)
    if scheme in FILE_SCHEMES:
        file = to_tflite(model, cast(SchemeName, scheme), samples if integer else None)
        return bytes(file)
    quantized = quantize_aware(model, scheme)
    calibrate(quantized, samples)
    return bytes(to_tflite(quantized))


def _random_samples(model: keras.Model) -> Any:
    """Return a few inputs of a model; indices are zeros."""
    generator = np.random.default_rng(0)
    arrays = []
    for tensor in model.inputs:
        shape = tensor.shape[1:]
        if None in shape:
            raise InvalidArgumentError(
                f"The input {tensor.name!r} has the shape {tuple(tensor.shape)}: what the file costs depends "
                "on the sizes that it leaves open. Build the model with a fixed input shape."
            )
        shape = (_SAMPLES, *shape)
        floats = keras.backend.is_float_dtype(tensor.dtype)
        values = generator.standard_normal(shape) if floats else np.zeros(shape)
        arrays.append(values.astype(keras.backend.standardize_dtype(tensor.dtype)))
    if len(arrays) == 1:
        return arrays[0]
    return dict(zip(graph.input_names(model), arrays, strict=True))


class UntrainedFiles:
    """The file of a model, and beside it those of smaller models made of it.

    Args:
        model: in float.
        scheme: of the files, by name.
        samples: for the ranges of activations; None for random ones.
        timed: whether latency is measured, against the original's file in one process. It is the median of
            several rounds and two standard errors.
        absolute: whether latency is in seconds as they are measured. Otherwise it is the ratio to the
            original's, times what that took at first, so that a slower minute does not count.

    Attributes:
        original: metric -> that of the original: `"bytes"`, and seconds of `"latency"` where it is timed.
        content: the file of the original.
    """

    def __init__(
        self,
        model: keras.Model,
        scheme: str,
        samples: Representative | None = None,
        *,
        timed: bool = False,
        absolute: bool = False,
    ) -> None:
        self._scheme, self._samples, self._timed, self._absolute = scheme, samples, timed, absolute
        self.content = self.written(model)
        self.original: dict[str, float] = {"bytes": float(len(self.content))}
        if timed:
            self.original["latency"] = steady_ratio(self.content, self.content).seconds

    @classmethod
    def for_budgets(
        cls, model: keras.Model, scheme: str, samples: Representative | None, budgets: Budgets
    ) -> UntrainedFiles:
        """Return the files in which what budgets limit is measured."""
        latency = budgets.limits.get("latency")
        absolute = latency is not None and not latency.relative
        return cls(model, scheme, samples, timed=latency is not None, absolute=absolute)

    def written(self, model: keras.Model) -> bytes:
        """Return a model as a file, its weights as they are."""
        return untrained(model, self._scheme, self._samples)

    def measured(self, model: keras.Model) -> dict[str, float]:
        """Return metric -> that of the file of a smaller model."""
        content = self.written(model)
        found = {"bytes": float(len(content))}
        if self._timed:
            steady = steady_ratio(self.content, content)
            seconds = steady.seconds if self._absolute else steady.ratio * self.original["latency"]
            found["latency"] = seconds * (1 + _ERRORS * steady.error)
        return found
