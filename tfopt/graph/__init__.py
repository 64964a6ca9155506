"""A Keras 3 model as a graph of operations: read it, copy it, rewrite it."""

from tfopt.graph._keras import operation_of, sublayers
from tfopt.graph._keras_layers import (
    attention_dropout,
    attention_masked,
    attention_projections,
    own_trainable,
    replace_variable,
    shared_constraint,
)
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
from tfopt.graph.analysis.evaluate import EvaluatedStep, evaluate
from tfopt.graph.analysis.own_scaling import as_taken, scaled_twice
from tfopt.graph.analysis.running import running
from tfopt.graph.analysis.tree import tree
from tfopt.graph.analysis.uses import Use, uses
from tfopt.graph.functions import signal_functions
from tfopt.graph.functions.complex_numbers import Complex
from tfopt.graph.layers.activity_penalty import ActivityPenalty, penalties
from tfopt.graph.layers.constant import Constant, as_array
from tfopt.graph.layers.over_batch import ONE_BATCH, OverBatch, of_one_batch, valued
from tfopt.graph.layers.program import Program
from tfopt.graph.layers.recurrence import Recurrence
from tfopt.graph.layers.step_loop import Loop, current_loop
from tfopt.graph.layers.tie import Tie, shared_config
from tfopt.graph.rewriting.decompose import Decomposer, Decomposition, Parts, decompose_call
from tfopt.graph.rewriting.fused_batch_norm import (
    fuse_batch_norm,
    fuse_in_place,
    fused_inference,
    is_fused,
)
from tfopt.graph.rewriting.input_shapes import (
    InputShapes,
    has_open_sizes,
    left_open,
    shapes_of,
    with_input_shapes,
)
from tfopt.graph.rewriting.lower import is_quantized, lower
from tfopt.graph.rewriting.model_class import own_training, with_class_of
from tfopt.graph.rewriting.own_layers import decomposed, has_code, is_own, with_own_layers_decomposed
from tfopt.graph.rewriting.rebuild import Copier, copy, replay, unrolled
from tfopt.graph.rewriting.shared_variables import take_weights, tie_shared_variables, warn_of_split
from tfopt.graph.structural_copy import StructuralCopy
from tfopt.graph.tracing.losses_in_code import adds_losses
from tfopt.graph.tracing.not_symbolic import KeepsState, NotSymbolic
from tfopt.graph.tracing.trace import as_functional, traced
from tfopt.graph.tracing.whole_call import as_graph
from tfopt.graph.walk import (
    Node,
    calls,
    inner_layers,
    input_names,
    is_functional,
    layers,
    looped,
    mask_of,
    named_inputs,
    nodes,
    output_producers,
    producer,
    require_built,
    require_functional,
    require_tensorflow,
    set_mask,
    tensors_in,
    unwrapped,
)

__all__ = [
    "LOSSES_SUFFIX",
    "ONE_BATCH",
    "ActivityPenalty",
    "AddedLosses",
    "Complex",
    "Constant",
    "Copier",
    "Decomposer",
    "Decomposition",
    "EvaluatedStep",
    "InputShapes",
    "KeepsState",
    "Loop",
    "Loss",
    "Node",
    "NotSymbolic",
    "OverBatch",
    "Parts",
    "Program",
    "Recurrence",
    "StructuralCopy",
    "Tie",
    "Use",
    "adding_losses",
    "adds_losses",
    "as_array",
    "as_functional",
    "as_graph",
    "as_taken",
    "attention_dropout",
    "attention_masked",
    "attention_projections",
    "beside_losses",
    "calls",
    "copy",
    "current_loop",
    "decompose_call",
    "decomposed",
    "evaluate",
    "fuse_batch_norm",
    "fuse_in_place",
    "fused_inference",
    "has_code",
    "has_open_sizes",
    "inner_layers",
    "input_names",
    "is_functional",
    "is_fused",
    "is_own",
    "is_quantized",
    "layers",
    "left_open",
    "looped",
    "lower",
    "mask_of",
    "named_inputs",
    "nodes",
    "of_one_batch",
    "operation_of",
    "output_producers",
    "own_trainable",
    "own_training",
    "penalties",
    "producer",
    "replace_variable",
    "replay",
    "require_built",
    "require_functional",
    "require_tensorflow",
    "running",
    "scaled_twice",
    "set_mask",
    "shapes_of",
    "shared_config",
    "shared_constraint",
    "signal_functions",
    "sublayers",
    "take_weights",
    "tensors_in",
    "tie_shared_variables",
    "traced",
    "tree",
    "unread_losses",
    "unrolled",
    "unwrapped",
    "uses",
    "valued",
    "warn_of_split",
    "warn_of_unread",
    "with_class_of",
    "with_input_shapes",
    "with_losses",
    "with_own_layers_decomposed",
    "without_losses",
]
