"""The largest of no rows: what replaces it is computed in float, before anything is rounded.

Of a segment without rows `segment_max` returns the lowest number of its type, `segment_min` the highest. No
range holds that and other values, so code replaces it: by `where`, `maximum`, a product with a mask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfopt.graph import Node, as_array, nodes
from tfopt.quantization.operators.op_traits import Extreme, Kind
from tfopt.quantization.operators.traits import traits_of

_KINDS_THAT_KEEP = (Kind.SAME_SCALE, Kind.SCALING)
"""Operations after which the value of an empty segment is still there, and may be replaced."""


def replacing_empty_segments(model: keras.Model, kinds: Mapping[int, Kind]) -> set[int]:
    """Return the `id` of each operation that may replace the value of empty segments, or leads to one.

    Args:
        model: canonical.
        kinds: `id` of each operation -> its kind.
    """
    graph = nodes(model)
    readers: dict[int, list[Node]] = defaultdict(list)
    for node in graph:
        for x in node.inputs:
            readers[id(x)].append(node)
    found: set[int] = set()
    waiting = [node for node in graph if reduces_segments(node) and _may_be_empty(node)]
    while waiting:
        for x in waiting.pop().outputs:
            for reader in readers[id(x)]:
                extreme, kind = traits_of(reader.operation).extreme, kinds[id(reader.operation)]
                replaces = extreme is Extreme.REPLACED or kind is Kind.RELU
                leads = extreme is Extreme.KEPT or kind in _KINDS_THAT_KEEP
                if id(reader.operation) not in found and (replaces or leads):
                    found.add(id(reader.operation))
                    waiting += [] if replaces else [reader]
    return found


def reduces_segments(node: Node) -> bool:
    """Return whether a call takes the maximum or the minimum of segments, which may have no rows."""
    return traits_of(node.operation).extreme is Extreme.CREATED


def _may_be_empty(node: Node) -> bool:
    ids: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("segment_ids")
    if isinstance(ids, keras.KerasTensor) or ids is None:
        return True
    count = node.operation.num_segments or 0
    return len(np.intersect1d(as_array(ids), np.arange(count))) < count
