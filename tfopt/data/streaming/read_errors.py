"""The errors of code that reads samples, which TensorFlow wraps in its own while it trains."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from tfopt.errors import DataError


@contextlib.contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the `DataError` about samples that cannot be read in place of TensorFlow's that holds it."""
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(rf"\b{DataError.__name__}: (.+)", error.message)
        if found is None:
            raise
        raise DataError(found[1]) from error
