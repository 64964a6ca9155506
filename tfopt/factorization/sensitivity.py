"""What a model loses with one layer of low rank, measured on data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.data.representative import Representative
from tfopt.factorization.options import Option, Options
from tfopt.post_training.samples import samples_of

logger = logging.getLogger(__name__)


def measured_losses(
    model: keras.Model,
    layers: Sequence[Options],
    options: Sequence[Sequence[Option]],
    data: Representative,
) -> list[list[float]]:
    """Return for each option of each layer the mean squared change of the outputs by their variance.

    The kernel is replaced by the product of its factors, one layer at a time.

    Args:
        model: functional; it is left as it is.
        layers: of the model.
        options: of each.
        data: samples of the inputs.
    """
    samples = samples_of(model, data)
    copied = graph.copy(model)
    kernels: dict[str, Any] = dict(graph.layers(copied))
    inputs: Any = samples if len(samples) > 1 else samples[0]
    expected = _outputs(copied, inputs)
    found = []
    for layer, choices in zip(layers, options, strict=True):
        kernel = kernels[layer.candidate.path].kernel
        whole = kernel.numpy()
        losses = []
        for option in choices:
            if option.ranks is None:
                losses.append(0.0)
                continue
            kernel.assign(layer.candidate.factorization.approximation(option.ranks))
            losses.append(_change(expected, _outputs(copied, inputs)))
        kernel.assign(whole)
        logger.debug("%s: the outputs change by %s", layer.candidate.path, losses)
        found.append(losses)
    return found


def _outputs(model: keras.Model, inputs: Any) -> list[np.ndarray]:
    return [np.asarray(each, np.float64) for each in keras.tree.flatten(model.predict(inputs, verbose=0))]


def _change(expected: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> float:
    """Return the mean over the outputs of the squared change by the variance."""
    return float(
        np.mean(
            [
                np.mean((one - other) ** 2) / (np.var(one) or 1.0)
                for one, other in zip(expected, outputs, strict=True)
            ]
        )
    )
