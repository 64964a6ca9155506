"""The names of the classes in a TFLite file: an entry of its metadata, which no runtime reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.edit import add_buffer
from tfopt.export.flatbuffer.fields import text
from tfopt.export.flatbuffer.file import ParsedFile

ENTRY = "tfopt.class_names"
"""The entry holds a list of names as JSON, in the order of the classes."""


def with_class_names(content: bytes, names: Sequence[str]) -> bytes:
    """Return a TFLite file that holds the names of its classes.

    Args:
        content: of the file.
        names: one a class.
    """
    file = ParsedFile(content)
    model = file.model
    entry = schema.MetadataT()
    entry.name = ENTRY
    encoded = json.dumps(list(names), ensure_ascii=False).encode()
    entry.buffer = add_buffer(model, np.frombuffer(encoded, np.uint8))
    kept = [each for each in model.metadata or [] if text(each.name) != ENTRY]
    model.metadata = [*kept, entry]
    file.mark_changed()
    return file.serialize()


def class_names_in(model: Any) -> tuple[str, ...]:
    """Return the names of the classes in a file that was read; none where it holds none."""
    for entry in model.metadata or []:
        if text(entry.name) == ENTRY:
            return tuple(json.loads(bytes(np.asarray(model.buffers[entry.buffer].data, np.uint8))))
    return ()
