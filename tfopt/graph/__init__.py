"""A Keras 3 model as a graph of operations: read it, copy it, rewrite it."""

from tfopt.graph.fused_batch_norm import fuse_batch_norm, fuse_in_place, is_fused
from tfopt.graph.lower import is_quantized, lower
from tfopt.graph.rebuild import Copier, copy, replay
from tfopt.graph.walk import Node, layers, nodes, require_functional, unwrapped

__all__ = [
    "Copier",
    "Node",
    "copy",
    "fuse_batch_norm",
    "fuse_in_place",
    "is_fused",
    "is_quantized",
    "layers",
    "lower",
    "nodes",
    "replay",
    "require_functional",
    "unwrapped",
]
