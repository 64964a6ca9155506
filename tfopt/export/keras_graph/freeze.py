"""A Keras model as a frozen TensorFlow graph: constants in place of variables, one fixed batch size.

Files converted from a frozen graph of static shape were the smallest and fastest in our comparison, and a
process without Keras can convert them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt import _validation, graph
from tfopt.data.sets import fixed_batch
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.export.flatbuffer.parse import OPEN_SIZE, unique
from tfopt.export.flatbuffer.tensor_names import TensorNames, layer_of
from tfopt.export.keras_graph._tensorflow import with_constants
from tfopt.export.keras_graph.check_finite import require_finite
from tfopt.export.keras_graph.expected_tensors import FilePlan, file_plan
from tfopt.export.keras_graph.float_barriers import with_barriers
from tfopt.export.keras_graph.fourier_lengths import require_powers_of_two
from tfopt.export.keras_graph.int16_as_int8 import Wide, narrowed
from tfopt.export.keras_graph.keep_float_means import keep_means_in_float
from tfopt.export.keras_graph.reshaped_operands import (
    add_before_batch_to_space,
    add_before_reshaping,
    combine_before_reshaping,
)
from tfopt.export.keras_graph.transposed_operands import round_after_transposing
from tfopt.export.keras_graph.undo_bias_add import with_plain_sums
from tfopt.quantization.planning.quantizer_placement import QUANTIZER_SUFFIX

FAKE_QUANTIZATION = (
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel",
    "FakeQuantWithMinMaxArgs",
)


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A frozen graph and what its ends are called.

    Attributes:
        graph_def: a serialized `tf.compat.v1.GraphDef`.
        inputs, outputs: names of its tensors, such as `"image:0"`, in the model's order.
        input_names, output_names: what the Keras model calls them.
        tensor_names: what the graph's nodes have to do with the model's layers.
        operations: kind of TensorFlow operation -> the layers that it stands in.
        wide: what is to have 16 bits in the file, and has the steps of these in the graph's 8.
        barrier: the operator that is to be taken out of the file; see `barriers`.
        plan: what the file's tensors are to be, where the graph says so.
    """

    graph_def: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    tensor_names: TensorNames
    operations: Mapping[str, tuple[str, ...]]
    wide: Wide
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
    """Return the inference graph of `model`, in float32, with nested models opened.

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
    input_names, output_names = names(named_after or model)
    lowered = graph.lower(model, share_variables=True)
    wide, plan = Wide(), FilePlan()
    if fake_quantization:
        require_finite(lowered)
        if graph.is_quantized(model):
            plan = file_plan(model, lowered, _paths(named_after or model, lowered))
        wide = narrowed(lowered)

    assigned: list[keras.Variable] = []

    def call(*tensors: tf.Tensor) -> list[tf.Tensor]:
        # What a layer assigns is a value here, which the graph loses where no output depends on it.
        with keras.StatelessScope() as scope:
            outputs = keras.tree.flatten(lowered(packed(lowered, tensors), training=False))
            assigned[:] = [each for each in lowered.variables if scope.get_current_value(each) is not None]
        return outputs

    specs = [
        tf.TensorSpec(shape, tensor.dtype, name=f"input_{position}")
        for position, (shape, tensor) in enumerate(zip(shapes, lowered.inputs, strict=True))
    ]
    with graph.running(named_after or model):
        function = tf.function(call).get_concrete_function(*specs)
    frozen = with_constants(function)
    graph_def = frozen.graph.as_graph_def()
    _require_no_assignments(
        named_after or model, lowered, function.graph.as_graph_def(), graph_def, assigned, shapes
    )
    keep_means_in_float(graph_def, FAKE_QUANTIZATION)
    with_plain_sums(graph_def)
    add_before_reshaping(graph_def)
    add_before_batch_to_space(graph_def)
    combine_before_reshaping(graph_def, FAKE_QUANTIZATION)
    round_after_transposing(graph_def, FAKE_QUANTIZATION)
    barrier = with_barriers(graph_def, kept=fake_quantization or graph.is_quantized(model))
    if not fake_quantization:
        _drop_fake_quantization(graph_def)
    tensor_names = _tensor_names(named_after or model, lowered, graph_def)
    require_powers_of_two(graph_def, lambda name: layer_of(tensor_names.readable(name)))
    return Frozen(
        graph_def=graph_def.SerializeToString(),
        inputs=tuple(tensor.name for tensor in frozen.inputs),
        outputs=tuple(tensor.name for tensor in frozen.outputs),
        input_names=input_names,
        output_names=output_names,
        tensor_names=tensor_names,
        operations=_operations(graph_def, tensor_names),
        wide=wide,
        barrier=barrier,
        plan=plan,
    )


def _require_no_assignments(
    model: keras.Model,
    lowered: keras.Model,
    graph_def: tf.compat.v1.GraphDef,
    frozen: tf.compat.v1.GraphDef,
    assigned: Sequence[keras.Variable],
    shapes: Sequence[tuple[int | None, ...]],
) -> None:
    """Raise where a variable is assigned that outputs may depend on, and a second call assigns more.

    Layers with dropout move their random states at inference too, and make nothing of them.
    """
    found = [node.name for node in graph_def.node if node.op.startswith("Assign")]
    layers = [layer_of(_tensor_names(model, lowered, graph_def).readable(name)) for name in found]
    random = any("Random" in node.op for node in _all_nodes(frozen))
    moved = [each for each in assigned if random or each.name != _RANDOM_STATE]
    settled = moved and settling(lowered, moved, shapes)
    for variable in moved:
        if not settled:
            layers += [path for path, layer in graph.layers(lowered) if _holds(layer, variable)]
    if layers:
        raise UnsupportedOperation(
            f"The layer {layers[0]!r} changes a variable when it is called, as those do that draw random "
            "numbers, and a TFLite file cannot: let the model return what goes into it, or take the random "
            "numbers, or the state, as an input."
        )


def settling(
    model: keras.Model, variables: Sequence[keras.Variable], shapes: Sequence[tuple[int | None, ...]]
) -> bool:
    """Return whether a second call, on other inputs, assigns to variables what the first one did.

    So does code that lays a mask on a kernel whenever it is called.

    Args:
        model: lowered.
        variables: of the model, to which a call assigns.
        shapes: of the inputs.
    """
    given: list[tuple[keras.Variable, Any]] = []
    seen = []
    for seed in (0, 1):
        random = np.random.default_rng(seed)
        tensors = [
            tf.cast(random.uniform(size=[size or 1 for size in shape]), x.dtype)
            for shape, x in zip(shapes, model.inputs, strict=True)
        ]
        with keras.StatelessScope(given) as scope:
            model(packed(model, tensors), training=False)
        given = [(each, scope.get_current_value(each)) for each in variables]
        seen.append([keras.ops.convert_to_numpy(array) for _, array in given])
    return all(np.allclose(one, other, rtol=1e-5, atol=1e-7) for one, other in zip(*seen, strict=True))


_RANDOM_STATE = "seed_generator_state"
"""What Keras calls the variable of a `keras.random.SeedGenerator`."""


def _holds(layer: keras.Layer, variable: keras.Variable) -> bool:
    return any(each is variable for each in layer.variables)


def _all_nodes(graph_def: tf.compat.v1.GraphDef) -> Iterator[tf.compat.v1.NodeDef]:
    """Yield the nodes of a graph and of the functions in it."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def file_shapes(
    model: keras.Model, batch_size: int, left_open: Collection[str] = ()
) -> tuple[tuple[int | None, ...], ...]:
    """Return the shapes of the inputs of a file, the batch size in front: the model's own, if it has one.

    Args:
        model: functional.
        batch_size: how many samples the file takes at once.
        left_open: the inputs that may keep sizes of None, as `tfopt.graph.input_names` calls them.

    Raises:
        UnsupportedModel: the model is subclassed.
        InvalidArgumentError: an input has a dimension of unknown size, `batch_size` is below 1 or not the
            model's, or the inputs are built for batches of different sizes.
    """
    graph.require_functional(model)
    if not _validation.is_whole(batch_size) or batch_size < 1:
        raise InvalidArgumentError(f"batch_size must be an integer of 1 or more, got {batch_size!r}.")
    for name, tensor in zip(graph.input_names(model), model.inputs, strict=True):
        if None in tensor.shape[1:] and name not in left_open:
            fixed_shape = tuple(OPEN_SIZE if size is None else size for size in tensor.shape[1:])
            raise InvalidArgumentError(
                f"The input {name!r} has the shape {tensor.shape}: only the batch may be None, for a TFLite "
                "file has fixed shapes by default. Say which ones it is to have, such as "
                f"to_tflite(model, input_shapes={{{name!r}: {fixed_shape}}}), or build the model with them, "
                f"such as keras.Input({fixed_shape}). Or leave them open for whoever runs the "
                "file, to resize its input, with "
                f"input_shapes={{{name!r}: {tuple(tensor.shape[1:])}}}, where LiteRT can."
            )
    fixed = fixed_batch([tensor.shape for tensor in model.inputs])
    if fixed is not None and batch_size not in (1, fixed):
        raise InvalidArgumentError(
            f"batch_size={batch_size}, but {model.name!r} was built for batches of {fixed}: leave it out, or "
            "build the model with keras.Input(shape)."
        )
    return tuple((fixed or batch_size, *tensor.shape[1:]) for tensor in model.inputs)


def fixed_shapes(model: keras.Model, batch_size: int) -> tuple[tuple[int, ...], ...]:
    """Return `file_shapes` where no size is left open."""
    return tuple(tuple(size or 0 for size in shape) for shape in file_shapes(model, batch_size))


def names(model: keras.Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the inputs and outputs of `model` are called, in its order.

    Dictionary keys where the model takes or returns a dictionary; else the names of the input tensors, and
    of the layers that make the outputs (not of the quantizers behind them). Names that stand twice get
    `_1`, `_2`.
    """
    if isinstance(model, keras.Sequential):
        return (model.inputs[0].name,), (model.layers[-1].name,)
    inputs = _keys(model.input) or [tensor.name for tensor in model.inputs]
    outputs = _keys(model.output) or [
        name.removesuffix(graph.LOSSES_SUFFIX).removesuffix(QUANTIZER_SUFFIX) for name in model.output_names
    ]
    return _unique(inputs), _unique(outputs)


def _keys(structure: Any) -> list[str] | None:
    return sorted(structure) if isinstance(structure, dict) else None


def packed(model: keras.Model, tensors: Sequence[Any]) -> Any:
    """Return one tensor an input as `model` takes them: one, a list, a tuple or a dict."""
    if isinstance(model, keras.Sequential):
        return tensors[0]
    return keras.tree.pack_sequence_as(model.input, list(tensors))


def _unique(names: list[str]) -> tuple[str, ...]:
    taken: set[str] = set()
    return tuple(unique(name, taken) for name in names)


def _tensor_names(model: keras.Model, lowered: keras.Model, graph_def: tf.compat.v1.GraphDef) -> TensorNames:
    passed_on = {node.name: node.input[0].split(":")[0] for node in graph_def.node if node.op == "Identity"}
    return TensorNames(model=lowered.name, layers=_paths(model, lowered), sources=passed_on)


def _paths(model: keras.Model, lowered: keras.Model) -> dict[str, str]:
    paths = {path.replace("/", "."): path for path, _ in graph.layers(model)}
    return {name: _path(name, paths) for name, _ in graph.layers(lowered)}


def _path(name: str, paths: Mapping[str, str]) -> str:
    """Return the path of a layer, or of a part that was split off it: `conv/relu` of `conv.relu`."""
    whole = next((each for each in _prefixes(name) if each in paths), None)
    return name if whole is None else paths[whole] + name.removeprefix(whole).replace(".", "/")


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _operations(graph_def: tf.compat.v1.GraphDef, names: TensorNames) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for node in graph_def.node:
        found.setdefault(node.op, {})[layer_of(names.readable(node.name))] = None
    return {operation: tuple(layers) for operation, layers in found.items()}


def _drop_fake_quantization(graph_def: tf.compat.v1.GraphDef) -> None:
    for node in _all_nodes(graph_def):
        if node.op in FAKE_QUANTIZATION:
            node.op = "Identity"
            del node.input[1:]
            node.attr.clear()
            node.attr["T"].type = tf.float32.as_datatype_enum
