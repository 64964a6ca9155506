"""A Keras 3 model as a graph of operations: read it, copy it, rewrite it."""

from tfopt.graph.constant import Constant, as_array
from tfopt.graph.evaluate import Step, evaluate
from tfopt.graph.fused_batch_norm import fuse_batch_norm, fuse_in_place, is_fused
from tfopt.graph.lower import is_quantized, lower
from tfopt.graph.not_symbolic import NotSymbolic
from tfopt.graph.opening import Opener, Opening, Parts, open_call
from tfopt.graph.over_batch import OverBatch
from tfopt.graph.rebuild import Copier, copy, replay
from tfopt.graph.trace import as_functional, traced
from tfopt.graph.walk import (
    Node,
    calls,
    inner_layers,
    layers,
    mask_of,
    nodes,
    output_producers,
    producer,
    require_functional,
    unwrapped,
)

__all__ = [
    "Constant",
    "Copier",
    "Node",
    "NotSymbolic",
    "Opener",
    "Opening",
    "OverBatch",
    "Parts",
    "Step",
    "as_array",
    "as_functional",
    "calls",
    "copy",
    "evaluate",
    "fuse_batch_norm",
    "fuse_in_place",
    "inner_layers",
    "is_fused",
    "is_quantized",
    "layers",
    "lower",
    "mask_of",
    "nodes",
    "open_call",
    "output_producers",
    "producer",
    "replay",
    "require_functional",
    "traced",
    "unwrapped",
]
