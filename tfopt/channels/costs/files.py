"""What models cost as files: exported in a scheme, measured in bytes and time."""

from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np

from tfopt import export, graph, measure
from tfopt.channels.costs.metric import Metric
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.costs.operators.matched import matched
from tfopt.channels.costs.operators.measured import latency_table
from tfopt.channels.costs.operators.probes import probes
from tfopt.channels.cut import cut
from tfopt.channels.groups import Dependencies
from tfopt.data.representative import Representative
from tfopt.errors import InvalidArgumentError
from tfopt.export.schemes import FILE_SCHEMES
from tfopt.quantization import calibrate, quantize_aware
from tfopt.quantization.scheme import SCHEMES

logger = logging.getLogger(__name__)

_SAMPLES = 10
_TURNS = 60


def check_scheme(scheme: Any) -> str:
    """Return the name of a scheme if it is one.

    Raises:
        InvalidArgumentError: it is none.
    """
    known = dict.fromkeys([*FILE_SCHEMES, *SCHEMES])
    if scheme not in known:
        raise InvalidArgumentError(f"scheme must be one of {', '.join(known)}, got {scheme!r}.")
    return str(scheme)


def exported(model: keras.Model, scheme: str, samples: Representative | None) -> bytes:
    """Return a model as a file in a scheme, its weights as they are.

    Args:
        model: in float.
        scheme: by name.
        samples: for the ranges of activations; None for random ones, which change neither size nor time.
    """
    integer = scheme not in FILE_SCHEMES or FILE_SCHEMES[scheme].integer
    if integer and samples is None:
        samples = random_samples(model)
    if scheme in FILE_SCHEMES:
        return bytes(export.to_tflite(model, scheme, samples if integer else None))
    quantized = quantize_aware(model, scheme)
    calibrate(quantized, samples)
    return bytes(export.to_tflite(quantized))


def random_samples(model: keras.Model) -> Any:
    """Return a few inputs of a model, one of each value for indices: zeros.

    Raises:
        InvalidArgumentError: a size other than the batch's is open.
    """
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


class Files:
    """The files of a model and of what is left of it when units are removed.

    Args:
        dependencies: of the model.
        scheme: of the files, by name.
        samples: for the ranges of activations; None for random ones.
        timed: whether latency is measured, against the original's file in one process.
        absolute: whether latency is in seconds as they are measured. Otherwise it is the ratio to the
            original's, times what that took at first, so that a slower minute does not count.

    Attributes:
        original: metric -> that of the whole model.
        content: of the file of the whole model.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        scheme: str,
        samples: Representative | None = None,
        *,
        timed: bool = False,
        absolute: bool = False,
    ) -> None:
        self._dependencies, self._scheme, self._samples = dependencies, scheme, samples
        self._timed, self._absolute = timed, absolute
        self.content = exported(dependencies.model, scheme, samples)
        self.original: dict[str, float] = {"bytes": float(measure.raw_bytes(self.content))}
        if timed:
            found = measure.latency({"original": self.content}, turns=_TURNS)
            self.original["latency"] = found["original"].median_seconds

    def latency(self, costs: ModelCosts) -> Metric:
        """Return the seconds of a file as a function of sizes: the sum over the operators of this one.

        Args:
            costs: of the model; its `sizes` get the axes of all tensors.
        """
        costs.add_tensors()
        keeps = [np.ones(self._dependencies.count, bool), *probes(self._dependencies.groups)]
        contents = [self.content, *(self._exported(keep) for keep in keeps[1:])]
        operators = matched(contents, keeps, costs.sizes)
        if operators is None:
            logger.warning(
                "The operators of the file of %r do not follow its channels one by one: its latency is "
                "predicted from its multiply-accumulates and the sizes of its tensors.",
                self._dependencies.model.name,
            )
            return costs.work()
        return latency_table(operators, costs.sizes, self.original["latency"])

    def _exported(self, keep: np.ndarray) -> bytes:
        return exported(cut(self._dependencies, keep), self._scheme, self._samples)

    def measured(self, keep: np.ndarray) -> dict[str, float]:
        """Return metric -> that of the file of what is kept, as `keep`, of shape `(units,)`, tells."""
        content = self._exported(keep)
        found = {"bytes": float(measure.raw_bytes(content))}
        if self._timed:
            both = measure.latency({"original": self.content, "cut": content}, turns=_TURNS)
            ratio = both["cut"].ratio * self.original["latency"]
            found["latency"] = both["cut"].median_seconds if self._absolute else ratio
        return found
