"""Which passes a file needs, in order: decided here before the first one runs.

A file of TensorFlow's converter: `after_converter`, then for a quantization-aware model `for_trained_model`,
then `for_runtime`. A file of litert-quantizer: `after_converter` on the float file that it reads, then
`after_litert_quantizer` and `for_runtime` on what it writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tfopt.export.int16.activations import write_int16_activations
from tfopt.export.keras_graph.expected_tensors import FilePlan
from tfopt.export.keras_graph.freeze import Frozen
from tfopt.export.litert_quantizer.embeddings import quantize_embeddings
from tfopt.export.passes.check_plan import require_planned
from tfopt.export.passes.encode_sparse import encode_sparse
from tfopt.export.passes.fix_biases import fix_uniform_biases
from tfopt.export.passes.float_operators import log_float_operators
from tfopt.export.passes.float_weights import restore_float_weights
from tfopt.export.passes.integer_inputs import quantize_inputs
from tfopt.export.passes.name_tensors import name_tensors
from tfopt.export.passes.remove_barriers import remove_barriers
from tfopt.export.passes.run import Pass
from tfopt.export.passes.uint8_inputs_outputs import make_inputs_outputs_uint8
from tfopt.export.trained_weights.write_weights import write_quantized_weights
from tfopt.export.xnnpack.lower import lower_for_xnnpack
from tfopt.quantization.quantizers.weight import QuantizedWeights


def after_converter(frozen: Frozen) -> list[Pass]:
    """Return what every file of TensorFlow's converter needs.

    Args:
        frozen: the graph that was converted.
    """
    barriers = [] if frozen.barrier is None else [Pass.of(remove_barriers, frozen.barrier)]
    names = (frozen.input_names, frozen.output_names, frozen.tensor_names.readable)
    return [*barriers, Pass.of(fix_uniform_biases), Pass.of(name_tensors, *names)]


def for_trained_model(
    frozen: Frozen, weights: Mapping[str, QuantizedWeights], unquantized: Collection[str] | None
) -> list[Pass]:
    """Return what the file of a quantization-aware model needs to be the model that was trained.

    Args:
        frozen: the graph that was converted; that of a float model needs nothing.
        weights: layer path -> quantized weights that the converter does not find by itself.
        unquantized: the inputs that stay in float where the others become integers; `None` where the
            converter has written all inputs as they are to be.
    """
    passes = []
    if unquantized is not None:
        passes.append(Pass.of(quantize_inputs, unquantized))
    if weights:
        passes.append(Pass.of(write_quantized_weights, weights))
    if frozen.int16.scales or frozen.int16.fixed:
        passes.append(Pass.of(write_int16_activations, frozen.int16))
    if frozen.plan.quantizers and frozen.plan.float_weights:
        passes.append(Pass.of(restore_float_weights, frozen.plan))
    if frozen.plan.quantizers:
        passes.append(Pass.of(require_planned, frozen.plan))
    return passes


def after_litert_quantizer(settings: Mapping[str, str], scheme: str, *, per_channel: bool) -> list[Pass]:
    """Return what a file of litert-quantizer needs; see `quantize_embeddings`."""
    return [Pass.of(quantize_embeddings, settings, scheme, per_channel=per_channel)]


def for_runtime(
    plan: FilePlan,
    *,
    integer: bool,
    float_where_faster: bool,
    uint8_inputs: bool,
    uint8_outputs: bool,
    sparse: bool = False,
) -> list[Pass]:
    """Return what makes a file fast in LiteRT and gives it the dtypes of its inputs and outputs.

    Args:
        plan: of the file's tensors.
        integer: whether activations are integers, so that what computes in float is an exception.
        float_where_faster: whether a lowering may compute in float.
        uint8_inputs, uint8_outputs: whether those in int8 become uint8.
        sparse: whether weights are encoded without their zeros; last, for no other pass reads them so.
    """
    passes = [Pass.of(lower_for_xnnpack, float_where_faster=float_where_faster)]
    if integer:
        passes.append(Pass.of(log_float_operators, plan, float_where_faster=float_where_faster))
    if uint8_inputs or uint8_outputs:
        passes.append(Pass.of(make_inputs_outputs_uint8, inputs=uint8_inputs, outputs=uint8_outputs))
    if sparse:
        passes.append(Pass.of(encode_sparse))
    return passes
