"""Reading the flatbuffer that a TFLite file is."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.write import IDENTIFIER


def parse(content: bytes, source: str = "The content") -> Any:
    """Return a TFLite file as a `ModelT`, whose fields follow TFLite's schema.

    Args:
        content: of the file.
        source: what an error message calls it.

    Raises:
        InvalidArgumentError: this is no TFLite file, or only a part of one.
    """
    if not content:
        raise InvalidArgumentError(f"{source} is empty: expected a TFLite file.")
    if content[4:8] != IDENTIFIER:
        raise InvalidArgumentError(
            f"{source} is not a TFLite file: bytes 4 to 8 must be {IDENTIFIER!r}, got {content[4:8]!r}."
        )
    with naming_damage(source):
        model = flatbuffer_utils.read_model_from_bytearray(content)
        for buffer in model.buffers or []:
            if isinstance(buffer.data, bytes):  # so it comes where it was stored after the flatbuffer
                buffer.data = np.frombuffer(buffer.data, np.uint8)
    if not model.subgraphs:
        raise InvalidArgumentError(f"{source} is a damaged TFLite file: it holds no graph.")
    return model


@contextlib.contextmanager
def naming_damage(source: str) -> Iterator[None]:
    """Turn what the schema's reader raises where offsets or numbers are wrong into an error for a person."""
    try:
        yield
    except InvalidArgumentError:
        raise
    except (struct.error, TypeError, ValueError, LookupError, AttributeError, MemoryError) as error:
        raise InvalidArgumentError(
            f"{source} is a damaged TFLite file: {error}. Was it cut off while it was copied? Get it again."
        ) from error
