"""Representative data as the inputs of a model."""

from __future__ import annotations

import keras
import numpy as np

from tfopt.data.representative import Representative, sample_arrays
from tfopt.graph import has_open_sizes, input_names


def samples_of(model: keras.Model, data: Representative) -> list[np.ndarray]:
    """Return one array an input, samples first, in the order in which Keras holds the inputs.

    Raises:
        InvalidArgumentError: `data` is of another kind, or does not fit the inputs.
        DataError: it is empty, or holds NaN or infinity.
    """
    dtypes = tuple(keras.backend.standardize_dtype(tensor.dtype) for tensor in model.inputs)
    return sample_arrays(data, input_names(model), tuple(tensor.shape for tensor in model.inputs), dtypes)


def shapes_of_data(model: keras.Model, data: Representative) -> dict[str, tuple[int, ...]] | None:
    """Return input name -> shape of a sample in `data`; None where the model's sizes are all known.

    Raises:
        InvalidArgumentError, DataError: as `samples_of`.
    """
    if not has_open_sizes(model):
        return None
    shapes = (array.shape[1:] for array in samples_of(model, data))
    return dict(zip(input_names(model), shapes, strict=True))
