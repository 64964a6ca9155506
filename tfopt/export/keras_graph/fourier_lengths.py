"""Fourier transforms of lengths for which LiteRT has no operator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfopt.errors import ConversionError
from tfopt.export.keras_graph.nodes import attribute, node_of

_TRANSFORMS = ("RFFT", "RFFT2D")


def require_powers_of_two(graph_def: tf.compat.v1.GraphDef, layer_of: Callable[[str], str]) -> None:
    """Raise where a transform has a length that is no power of two.

    Args:
        graph_def: frozen.
        layer_of: returns the layer of a node.

    Raises:
        ConversionError: there is such a transform. What computes it of other operations has a file.
    """
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        if node.op not in _TRANSFORMS:
            continue
        lengths = tf.make_ndarray(attribute(nodes[node_of(node.input[1])], "value").tensor)
        if np.any(lengths & (lengths - 1)):
            raise ConversionError(
                f"The layer {layer_of(node.name)!r} transforms {' x '.join(map(str, lengths))} values, and "
                "LiteRT's Fourier transform takes powers of two: give such an fft_length."
            )
