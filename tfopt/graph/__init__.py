"""A Keras 3 model as a graph of operations: read it, copy it, rewrite it."""

from tfopt.graph import signal_functions
from tfopt.graph._keras import own_trainable, shared_constraint
from tfopt.graph.activity_penalty import ActivityPenalty, penalties
from tfopt.graph.added_losses import (
    LOSSES_SUFFIX,
    AddedLosses,
    Loss,
    adding_losses,
    beside_losses,
    unread_losses,
    warn_of_unread,
    with_losses,
    without_losses,
)
from tfopt.graph.complex_numbers import Complex
from tfopt.graph.constant import Constant, as_array
from tfopt.graph.evaluate import Step, evaluate
from tfopt.graph.fused_batch_norm import fuse_batch_norm, fuse_in_place, is_fused
from tfopt.graph.input_shapes import InputShapes, has_open_sizes, left_open, shapes_of, with_input_shapes
from tfopt.graph.losses_in_code import adds_losses
from tfopt.graph.lower import is_quantized, lower
from tfopt.graph.model_class import own_training, with_class_of
from tfopt.graph.not_symbolic import NotSymbolic
from tfopt.graph.opening import Opener, Opening, Parts, open_call
from tfopt.graph.over_batch import ONE_BATCH, OverBatch, of_one_batch, valued
from tfopt.graph.own_scaling import as_taken, scaled_twice
from tfopt.graph.program import Program
from tfopt.graph.rebuild import Copier, copy, replay, unrolled
from tfopt.graph.recurrence import Loop, Recurrence, current_loop
from tfopt.graph.running import running
from tfopt.graph.structural_copy import StructuralCopy
from tfopt.graph.trace import as_functional, traced
from tfopt.graph.tree import tree
from tfopt.graph.uses import Use, uses
from tfopt.graph.walk import (
    Node,
    calls,
    inner_layers,
    input_names,
    is_functional,
    layers,
    looped,
    mask_of,
    nodes,
    output_producers,
    producer,
    require_built,
    require_functional,
    set_mask,
    tensors_in,
    unwrapped,
)
from tfopt.graph.whole_call import as_graph

__all__ = [
    "LOSSES_SUFFIX",
    "ONE_BATCH",
    "ActivityPenalty",
    "AddedLosses",
    "Complex",
    "Constant",
    "Copier",
    "InputShapes",
    "Loop",
    "Loss",
    "Node",
    "NotSymbolic",
    "Opener",
    "Opening",
    "OverBatch",
    "Parts",
    "Program",
    "Recurrence",
    "Step",
    "StructuralCopy",
    "Use",
    "adding_losses",
    "adds_losses",
    "as_array",
    "as_functional",
    "as_graph",
    "as_taken",
    "beside_losses",
    "calls",
    "copy",
    "current_loop",
    "evaluate",
    "fuse_batch_norm",
    "fuse_in_place",
    "has_open_sizes",
    "inner_layers",
    "input_names",
    "is_functional",
    "is_fused",
    "is_quantized",
    "layers",
    "left_open",
    "looped",
    "lower",
    "mask_of",
    "nodes",
    "of_one_batch",
    "open_call",
    "output_producers",
    "own_trainable",
    "own_training",
    "penalties",
    "producer",
    "replay",
    "require_built",
    "require_functional",
    "running",
    "scaled_twice",
    "set_mask",
    "shapes_of",
    "shared_constraint",
    "signal_functions",
    "tensors_in",
    "traced",
    "tree",
    "unread_losses",
    "unrolled",
    "unwrapped",
    "uses",
    "valued",
    "warn_of_unread",
    "with_class_of",
    "with_input_shapes",
    "with_losses",
    "without_losses",
]
