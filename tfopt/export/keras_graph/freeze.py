"""A Keras model as a frozen TensorFlow graph: constants in place of variables, one fixed batch size.

Files converted from a frozen graph of static shape were the smallest and fastest in our comparison, and a
process without Keras can convert them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfopt import graph
from tfopt.export.flatbuffer.tensor_names import TensorNames, layer_of
from tfopt.export.keras_graph._tensorflow import with_constants
from tfopt.export.keras_graph.assignments import require_no_assignments
from tfopt.export.keras_graph.barriers.float_barriers import insert_barriers
from tfopt.export.keras_graph.barriers.gelu_factors import keep_apart_from_gelus
from tfopt.export.keras_graph.barriers.shared_kernels import separate_shared_kernels
from tfopt.export.keras_graph.check_finite import require_finite
from tfopt.export.keras_graph.expected_tensors import FilePlan, file_plan
from tfopt.export.keras_graph.fourier_lengths import require_powers_of_two
from tfopt.export.keras_graph.inputs_outputs import file_shapes, names, packed
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec, as_int8
from tfopt.export.keras_graph.keep_float_means import keep_means_in_float
from tfopt.export.keras_graph.layer_names import layer_paths, layers_by_operation, tensor_names
from tfopt.export.keras_graph.nodes import all_nodes
from tfopt.export.keras_graph.reshaped_operands import (
    add_before_batch_to_space,
    add_before_reshaping,
    combine_before_reshaping,
)
from tfopt.export.keras_graph.transposed_operands import round_after_transposing
from tfopt.export.keras_graph.undo_bias_add import undo_bias_add

FAKE_QUANTIZATION = (
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel",
    "FakeQuantWithMinMaxArgs",
)


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A frozen graph and the names of its inputs and outputs.

    Attributes:
        graph_def: a serialized `tf.compat.v1.GraphDef`.
        inputs, outputs: names of its tensors, such as `"image:0"`, in the model's order.
        input_names, output_names: their names in the Keras model.
        tensor_names: what the graph's nodes have to do with the model's layers.
        operations: kind of TensorFlow operation -> the layers that compute it.
        int16: what is to have 16 bits in the file, and has the scales of these in the graph's 8.
        barrier: the operator that is to be taken out of the file; see `insert_barriers`.
        plan: what the file's tensors are to be, where the graph says so.
    """

    graph_def: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    tensor_names: TensorNames
    operations: Mapping[str, tuple[str, ...]]
    int16: Int16Spec
    barrier: str | None
    plan: FilePlan


def freeze(
    model: keras.Model,
    batch_size: int = 1,
    *,
    fake_quantization: bool = True,
    named_after: keras.Model | None = None,
    left_open: Collection[str] = (),
) -> Frozen:
    """Return the inference graph of `model`, in float32, with nested models flattened.

    Args:
        model: built Sequential or functional.
        batch_size: how many samples the graph takes at once, 1 or more.
        fake_quantization: whether the rounding of a quantization-aware model stays in the graph.
        named_after: the functional model that `model` was made of, after which inputs, outputs and layers
            are called; None for `model` itself.
        left_open: the inputs that may keep sizes of None.

    Raises:
        UnsupportedModel: the model is subclassed, or fails when it is called.
        UnsupportedOperation: a layer changes variables when it is called, as random generators do.
        ConversionError: a Fourier transform has a length for which there is no operator.
        InvalidArgumentError: an input has a dimension of unknown size, `batch_size` is below 1, or the
            weights or ranges of what is written in integers have exploded.
    """
    shapes = file_shapes(model, batch_size, left_open)
    named_after = named_after or model
    input_names, output_names = names(named_after)
    lowered = graph.lower(model, share_variables=True)
    int16, plan = Int16Spec(), FilePlan()
    if fake_quantization:
        require_finite(lowered)
        if graph.is_quantized(model):
            plan = file_plan(model, lowered, layer_paths(named_after, lowered))
        int16 = as_int8(lowered)
    frozen = _frozen_function(lowered, shapes, named_after)
    graph_def = frozen.graph.as_graph_def()
    _rewrite(graph_def)
    if not fake_quantization:
        separate_shared_kernels(graph_def)
    barrier = insert_barriers(graph_def, kept=fake_quantization or graph.is_quantized(model))
    if not fake_quantization:
        _drop_fake_quantization(graph_def)
    names_of_tensors = tensor_names(named_after, lowered, graph_def)
    require_powers_of_two(graph_def, lambda name: layer_of(names_of_tensors.readable(name)))
    return Frozen(
        graph_def=graph_def.SerializeToString(),
        inputs=tuple(tensor.name for tensor in frozen.inputs),
        outputs=tuple(tensor.name for tensor in frozen.outputs),
        input_names=input_names,
        output_names=output_names,
        tensor_names=names_of_tensors,
        operations=layers_by_operation(graph_def, names_of_tensors),
        int16=int16,
        barrier=barrier,
        plan=plan,
    )


def _frozen_function(
    lowered: keras.Model, shapes: Sequence[tuple[int | None, ...]], named_after: keras.Model
) -> Any:
    """Return the traced function of a lowered model, with constants in place of variables.

    Raises:
        UnsupportedOperation: a layer changes variables when it is called.
    """
    assigned: list[keras.Variable] = []

    def call(*tensors: tf.Tensor) -> list[tf.Tensor]:
        # What a layer assigns is a value here, which the graph loses where no output depends on it.
        with keras.StatelessScope() as scope:
            outputs: list[tf.Tensor] = keras.tree.flatten(lowered(packed(lowered, tensors), training=False))
            assigned[:] = [each for each in lowered.variables if scope.get_current_value(each) is not None]
        return outputs

    specs = [
        tf.TensorSpec(shape, tensor.dtype, name=f"input_{position}")
        for position, (shape, tensor) in enumerate(zip(shapes, lowered.inputs, strict=True))
    ]
    with graph.running(named_after):
        function = tf.function(call).get_concrete_function(*specs)
    frozen = with_constants(function)
    graphs = (function.graph.as_graph_def(), frozen.graph.as_graph_def())
    require_no_assignments(named_after, lowered, *graphs, assigned, shapes)
    return frozen


def _rewrite(graph_def: tf.compat.v1.GraphDef) -> None:
    """Rewrite what TensorFlow's converter would get wrong or refuse; see the module of each rewrite."""
    keep_means_in_float(graph_def, FAKE_QUANTIZATION)
    undo_bias_add(graph_def)
    keep_apart_from_gelus(graph_def)
    add_before_reshaping(graph_def)
    add_before_batch_to_space(graph_def)
    combine_before_reshaping(graph_def, FAKE_QUANTIZATION)
    round_after_transposing(graph_def, FAKE_QUANTIZATION)


def _drop_fake_quantization(graph_def: tf.compat.v1.GraphDef) -> None:
    for node in all_nodes(graph_def):
        if node.op in FAKE_QUANTIZATION:
            node.op = "Identity"
            del node.input[1:]
            node.attr.clear()
            node.attr["T"].type = tf.float32.as_datatype_enum
