"""Turning Python code into a graph: calling a layer or a model on symbolic tensors."""

from __future__ import annotations

import functools
import inspect
import logging
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import keras

from tfopt.errors import UnsupportedModel
from tfopt.graph import _keras, _tensorflow
from tfopt.graph.added_losses import Loss, with_losses
from tfopt.graph.functions.complex_numbers import Complex
from tfopt.graph.layers.activity_penalty import ActivityPenalty, penalties
from tfopt.graph.layers.constant import Constant
from tfopt.graph.reached import closed_over
from tfopt.graph.tracing.batch import DependsOnBatch, asks_for_batch, for_any_batch
from tfopt.graph.tracing.equal_calls import joined
from tfopt.graph.tracing.functions_in_code import readable_functions
from tfopt.graph.tracing.losses_in_code import in_both, may_add_others_in_training, recorded_losses
from tfopt.graph.tracing.not_symbolic import KeepsState, NotSymbolic
from tfopt.graph.tracing.symbolic_tensor import make_sliceable
from tfopt.graph.tracing.tensorflow_calls import recording
from tfopt.graph.tracing.variables import Constants, symbolic
from tfopt.graph.walk import INSIDE, require_functional, tensors_in

logger = logging.getLogger(__name__)

Code: TypeAlias = Callable[[Any, bool | None], Any]
"""Runs code with a structure of arguments, in training (`True`) or as at inference (`None`)."""


def traced(layer: keras.Layer, arguments: Any, constants: Constants, call: Code) -> Any:
    """Return what `call`, which runs code of `layer` on symbolic tensors, returns at inference.

    The layer's own variables are symbolic meanwhile, and so is what layers in it make of constants: an
    embedding of positions stays trainable. Where the code asks for the size of the batch, the graph is for
    any. The first of the outputs carries the losses that the code adds, see `AddedLosses`, those of training
    too.

    Args:
        layer: whose code runs; private to the caller.
        arguments: a structure with at least one symbolic tensor.
        constants: the layers that hold variables.
        call: runs it.

    Raises:
        NotSymbolic: the code needs numbers.
    """
    outputs, losses = _read(layer, arguments, constants, call, None)
    logger.debug("read the code of %s (%s)", layer.name, type(layer).__name__)
    if not may_add_others_in_training(layer):
        return with_losses(outputs, [Loss(loss) for loss in losses])
    try:
        _, trained = _read(layer, arguments, constants, call, True)
    except NotSymbolic as error:
        unread = f"{layer.name!r} ({type(layer).__name__}): {error}"
        logger.debug("read as at inference alone: %s", unread)
        return with_losses(outputs, [Loss(loss) for loss in losses], unread=unread)
    given = tensors_in(arguments)
    masks = [mask for mask in map(_keras.mask_of, given) if mask is not None]
    trained = joined([outputs, losses], trained, [*given, *masks])
    return with_losses(outputs, in_both(losses, trained))


def _read(
    layer: keras.Layer, arguments: Any, constants: Constants, call: Code, training: bool | None
) -> tuple[Any, list[Any]]:
    """Return the outputs of code, and the losses that it adds."""

    if any(x.dtype.startswith("complex") for x in tensors_in(arguments)):
        raise NotSymbolic("it takes complex numbers: compute them and what is made of them in one layer")

    def run(arguments: Any) -> Any:
        reference = tensors_in(arguments)[0]
        make_sliceable(tensors_in(arguments))
        with (
            symbolic(layer, reference, constants, functools.partial(_in_place, training), training),
            recorded_losses([layer, *_keras.sublayers(layer)]) as losses,
            readable_functions(layer),
            _tensorflow.variable_scope_kept(),
            recording() as recorded,
        ):
            try:
                outputs = call(arguments, training)
            except Exception as error:
                kind = type(error) if isinstance(error, NotSymbolic) else NotSymbolic
                raise kind(_reason(error, recorded.refused)) from error
        _require_no_captured(_keras.calls_between(outputs, tensors_in(arguments)))
        flat = keras.tree.flatten(outputs)
        if any(isinstance(output, Complex) for output in flat):
            raise NotSymbolic("it returns complex numbers: return what is computed of them, or their parts")
        if not flat or not any(isinstance(output, keras.KerasTensor) for output in flat):
            raise NotSymbolic("it returns nothing that was computed from its input by layers and keras.ops")
        return keras.tree.map_structure(
            lambda value: (
                value
                if isinstance(value, keras.KerasTensor) or not _is_array(value)
                else Constant.of(value, "constant")(reference)
            ),
            (outputs, losses),
        )

    try:
        read = run(arguments)
    except DependsOnBatch:
        raise
    except NotSymbolic as error:
        _require_known_sizes(arguments, error)
        of_any_batch = any(x.shape and x.shape[0] is None for x in tensors_in(arguments))
        if not of_any_batch or isinstance(error, KeepsState):
            raise
        return _for_any_batch(run, arguments)
    if asks_for_batch(_keras.calls_between(read, tensors_in(arguments))):
        return _for_any_batch(run, arguments)
    return read


def _require_no_captured(calls: list[_keras.Call]) -> None:
    """Raise where an operation keeps a function that read tensors of the trace, which it would for good."""
    for call in calls:
        for function in keras.tree.flatten((call.args, call.kwargs, list(vars(call.operation).values()))):
            captured = closed_over(function) if isinstance(function, types.FunctionType) else ()
            if any(isinstance(value, keras.KerasTensor) for value in captured):
                raise NotSymbolic(
                    f"a function that an operation ({type(call.operation).__name__}) is given reads tensors "
                    "around it: hand them to it as arguments, or choose with keras.ops.where"
                )


def _for_any_batch(run: Callable[[Any], Any], arguments: Any) -> Any:
    logger.debug("code asks for the size of the batch: it is read for two sizes and compared")
    with recording() as recorded:  # layers are called once more, and code makes their masks
        try:
            return for_any_batch(run, arguments)
        except NotSymbolic:
            raise
        except Exception as error:
            raise NotSymbolic(_reason(error, recorded.refused)) from error


def _require_known_sizes(arguments: Any, error: NotSymbolic) -> None:
    """Raise an error that names a size other than the batch that is unknown, where there is one."""
    for x in tensors_in(arguments):
        if None in x.shape[1:]:
            raise NotSymbolic(
                f"{error}. A tensor that it gets has the shape {tuple(x.shape)}, and the code asks for a "
                "size that is not known. Fix it with input_shapes=, the shape of one sample, or call the "
                "model on inputs of fixed sizes and take that: inputs = keras.Input((length, ...)); model = "
                "keras.Model(inputs, model(inputs))"
            ) from error


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _reason(error: Exception, refused: str | None) -> str:
    """Return what went wrong in users' code, with the line."""
    text = plain_text(error)
    reason = text if isinstance(error, NotSymbolic) else f"{type(error).__name__}: {text}"
    if refused is not None and "KerasTensor" in text:
        reason = f"{refused} does not take symbolic tensors, and has no equivalent here: use keras.ops"
    place = _place_of(error)
    return f"{reason} ({place})" if place else reason


def plain_text(error: BaseException | None) -> str:
    """Return the first line of what an error says, without what Keras puts around it."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    paragraphs = re.split(r"\n\s*\n", text.rpartition("Exception encountered when calling")[2])
    said = paragraphs[1] if "Exception encountered when calling" in text and paragraphs[1:] else text
    return said.strip().splitlines()[0].strip() if said.strip() else ""


_LIBRARIES = tuple(
    str(Path(sys.modules[name].__file__ or "").parent) for name in ("keras", "tensorflow", "tfopt")
)


def _place_of(error: Exception) -> str | None:
    """Return the last line of code that belongs to no library, for a person."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_LIBRARIES):
            return f"{Path(frame.filename).name}:{frame.lineno}: {frame.line}"
    return None


def as_functional(model: keras.Model) -> keras.Model:
    """Return `model`, as a functional model of the same layers if it is subclassed.

    The code of `call` runs once, on symbolic tensors, as at inference: `if training:` is not followed,
    while layers in it that know training, such as Dropout, still know it. Where it asks for the size of
    the batch, it runs twice more.

    Raises:
        InvalidArgumentError: it is no Keras 3 model.
        UnsupportedModel: it has not been called yet, or `call` uses more than layers and `keras.ops`.
    """
    if not isinstance(model, keras.Model) or isinstance(model, keras.Sequential):
        require_functional(model)
    if _keras.functional(model) is not None:
        return model
    config = model.get_build_config() or {}
    if not model.built or "input_shape" not in config:
        raise UnsupportedModel(
            f"The subclassed model {model.name!r} does not know its input shapes yet: call it once on a "
            "batch of data, then try again."
        )
    _require_one_argument(model)
    try:
        outputs, inputs = _called(model, config["input_shape"])
    except NotSymbolic as error:
        logger.debug("the code of the model %s cannot be read: %s", model.name, error)
        raise UnsupportedModel(
            f"The model {model.name!r} is subclassed ({type(model).__name__}), and its call() cannot run on "
            f"symbolic tensors: {error}. Use only layers and keras.ops in it, or "
            "make it functional: inputs = keras.Input(shape); model = keras.Model(inputs, outputs)."
        ) from error
    graph = keras.Model(inputs, outputs, name=model.name)
    calls = sum(1 for _ in _keras.calls(graph))
    logger.debug("the code of the model %s is a graph of %d calls", model.name, calls)
    return graph


def _require_one_argument(model: keras.Model) -> None:
    parameters = list(inspect.signature(model.call).parameters.values())
    needed = [
        each.name
        for each in parameters[1:]
        if each.default is inspect.Parameter.empty
        and each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        and each.name != "training"
    ]
    if needed:
        names = ", ".join([parameters[0].name, *needed])
        raise UnsupportedModel(
            f"The call() of the subclassed model {model.name!r} takes several tensors ({names}), and Keras "
            "keeps the shape of the first alone. Call it in a functional model, which keeps them all: "
            f"inputs = [keras.Input(...), ...]; keras.Model(inputs, model(*inputs))."
        )


def _called(model: keras.Model, shapes: Any) -> tuple[Any, Any]:
    """Return the symbolic outputs and inputs, of integers where nothing but embeddings reads an input."""
    named = list(_named(shapes))
    constants = Constants()

    def run(dtypes: dict[int, str]) -> tuple[Any, Any]:
        inputs = _like(
            shapes,
            [
                keras.Input((*shape[1:],), dtype=dtypes.get(index, "float32"), name=name)
                for index, (name, shape) in enumerate(named)
            ],
        )
        outputs = traced(model, inputs, constants, functools.partial(_called_with, model))
        _make_names_distinct([call.operation for call in _keras.calls_between(outputs, tensors_in(inputs))])
        return outputs, inputs

    try:
        outputs, inputs = run({})
    except NotSymbolic:
        try:
            return run(dict.fromkeys(range(len(named)), "int32"))
        except NotSymbolic:
            pass
        raise
    tokens = {index: "int32" for index, tensor in enumerate(tensors_in(inputs)) if _is_index(tensor, outputs)}
    return run(tokens) if tokens else (outputs, inputs)


def _make_names_distinct(operations: list[keras.Operation]) -> None:
    """Number constants and operations that have the name of another, for a functional model allows none."""
    seen: dict[str, keras.Operation] = {}
    for operation in operations:
        name, number = operation.name, 0
        while seen.setdefault(operation.name, operation) is not operation:
            number += 1
            operation.name = f"{name}_{number}"


def _is_index(tensor: keras.KerasTensor, outputs: Any) -> bool:
    """Return whether all that reads an input looks up rows with it."""
    readers = [
        call
        for call in _keras.calls_between(outputs, [])
        # A mask of tokens compares them with 0.
        if not isinstance(call.operation, Constant)
        and type(call.operation).__name__ != "NotEqual"
        and any(x is tensor for x in tensors_in((call.args, call.kwargs)))
    ]
    return bool(readers) and all(_looks_up(call, tensor) for call in readers)


def _looks_up(call: _keras.Call, tensor: keras.KerasTensor) -> bool:
    reader = call.operation
    if isinstance(reader, keras.layers.Embedding):
        return True
    if type(reader).__name__ == "Take" and type(reader).__module__.startswith("keras."):
        return call.args[0] is not tensor
    if not isinstance(reader, keras.Layer) or type(reader).__module__.startswith("keras."):
        return False
    inner = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
    try:
        outputs = traced(reader, inner, Constants(), functools.partial(_called_with, reader))
    except NotSymbolic:
        return False
    return _is_index(inner, outputs)


def _called_with(layer: keras.Layer, inputs: Any, training: bool | None) -> Any:
    return _penalized(layer, call_with(layer, (inputs,), {}, training))


def call_with(layer: keras.Layer, args: tuple, kwargs: dict[str, Any], training: bool | None = None) -> Any:
    """Run the code of `call` with the arguments that Keras would add: masks, and `training`."""
    call = layer.call
    call = getattr(call, "python_function", call)  # without a tf.function around it
    signature = inspect.signature(call)
    kwargs = dict(kwargs)
    if "training" in signature.parameters:
        kwargs.setdefault("training", training)
    try:
        masks = _keras.masks_on(call, args, kwargs)
    except TypeError:
        return call(*args, **kwargs)
    return call(*args, **(kwargs | masks))


def _penalized(layer: keras.Layer, outputs: Any) -> Any:
    """Return the outputs of a layer, whose activity regularizer adds losses in the trace."""
    if layer.activity_regularizer is not None:
        layer.add_loss(penalties(outputs, ActivityPenalty(layer.activity_regularizer)))
    return outputs


def _in_place(training: bool | None, layer: keras.Layer, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Run the code of a layer in traced code, in place of a call; name what it calls after the layer."""
    if layer.autocast:
        args, kwargs = keras.tree.map_structure(
            lambda x: _as_dtype(x, layer.compute_dtype), (args, kwargs), none_is_leaf=True
        )
    outputs = call_with(layer, args, without_default_training(layer, kwargs), training)
    outputs = _penalized(layer, outputs)
    given = [*args, *kwargs.values()]
    _keras.pass_mask_on(layer, given[0], outputs, kwargs.get("mask"))
    inputs = tensors_in(given)
    masks = [mask for mask in map(_keras.mask_of, inputs) if mask is not None]
    inner = {id(each) for each in _keras.sublayers(layer)}
    for call in _keras.calls_between(outputs, [*inputs, *masks]):
        own = id(call.operation) in inner or not isinstance(call.operation, keras.Layer)
        if own and not call.operation.name.startswith(layer.name + INSIDE):
            call.operation.name = layer.name + INSIDE + call.operation.name
    return outputs


def _as_dtype(x: Any, dtype: str) -> Any:
    if not isinstance(x, keras.KerasTensor) or not keras.backend.is_float_dtype(x.dtype):
        return x
    return x if x.dtype == dtype else keras.ops.cast(x, dtype)


def without_default_training(layer: keras.Layer, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments without a `training` that is the default of the code: Keras predicts without it."""
    parameter = inspect.signature(layer.call).parameters.get("training")
    if parameter is None or kwargs.get("training") is not parameter.default:
        return kwargs
    return {name: value for name, value in kwargs.items() if name != "training"}


def _named(shapes: Any) -> Iterator[tuple[str | None, tuple]]:
    if isinstance(shapes, dict):
        yield from sorted(shapes.items())
    elif shapes and isinstance(shapes[0], (list, tuple)):
        yield from ((None, shape) for shape in shapes)
    else:
        yield None, shapes


def _like(shapes: Any, flat: list[keras.KerasTensor]) -> Any:
    if isinstance(shapes, dict):
        return dict(zip(sorted(shapes), flat, strict=True))
    return flat if isinstance(shapes[0], (list, tuple)) else flat[0]
