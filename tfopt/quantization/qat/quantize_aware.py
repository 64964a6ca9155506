"""Quantization-aware training: a model that computes as its int8 file will."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import keras

from tfopt import backends
from tfopt import rules as rules_
from tfopt.errors import InvalidArgumentError
from tfopt.graph import (
    Constant,
    Copier,
    InputShapes,
    Node,
    adding_losses,
    as_functional,
    beside_losses,
    copy,
    fuse_in_place,
    is_quantized,
    looped,
    nodes,
    replay,
    require_built,
    tie_shared_variables,
    warn_of_unread,
    with_class_of,
    with_input_shapes,
)
from tfopt.pruning import SparsityMask
from tfopt.pruning.masks import masked
from tfopt.quantization.canonicalize.canonicalize import canonical
from tfopt.quantization.canonicalize.rewrite.softmax import MaskedScores
from tfopt.quantization.canonicalize.rewrite_context import Paths
from tfopt.quantization.layers.standalone_batch_norm import StandaloneAffine
from tfopt.quantization.layers.standalone_relu import StandaloneReLU
from tfopt.quantization.layers.tied_embedding import TiedEmbedding
from tfopt.quantization.operators.non_negative import nonnegative_tensors
from tfopt.quantization.operators.traits import WIDE_RANGE, Kind, ceiling, kind
from tfopt.quantization.operators.weights import required_weights, weights_of
from tfopt.quantization.planning.bit_widths import NARROW_SUFFIX, Widths, is_wide
from tfopt.quantization.planning.empty_segments import replacing_empty_segments
from tfopt.quantization.planning.float_boundary import FloatBoundaries
from tfopt.quantization.planning.kinds import kinds_of
from tfopt.quantization.planning.quantizer_placement import QUANTIZER_SUFFIX, Plan, plan
from tfopt.quantization.planning.spectra import of_spectra
from tfopt.quantization.planning.unrolled import Flat
from tfopt.quantization.planning.unrounded import exact_tensors, kept_in_float, reads_exactly
from tfopt.quantization.qat.preserve import checked, keep_masks, preserve_kernels
from tfopt.quantization.quantizers import average_pool
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.quantizers.activation_int16 import WideQuantizer
from tfopt.quantization.quantizers.cluster_constraint import kept_clusters
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.quantizers.weight import WeightQuantizer
from tfopt.quantization.scheme import Scheme, SchemeLike, scheme_of


def quantize_aware(
    model: keras.Model,
    scheme: SchemeLike = "int8",
    *,
    rules: Mapping[str, SchemeLike | None] | None = None,
    preserve: str | Iterable[str] = (),
    input_shapes: InputShapes | None = None,
    engine: Literal["keras", "tfmot"] = "keras",
    engine_options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` that computes as its quantized file will, to be trained further.

    The copy has the same inputs and outputs, takes over weights, constraints and trainable flags, and
    trains with plain `compile` and `fit`. Its ranges are empty at first: `calibrate` fills them, and so
    does training. Export it with `tfopt.to_tflite`.

    Args:
        model: a built Sequential or functional model, or a subclassed one that has been called and whose
            `call` uses only layers and `keras.ops`. Models and layers made of others are opened.
        scheme: a name in `tfopt.quantization.SCHEMES`, or a `tfopt.quantization.Scheme`. `"int8"`: weights
            symmetric per channel, activations asymmetric per tensor. `"int4"`, `"ternary"`, `"binary"`:
            weights of fewer bits and int8 activations. `"int16x8"`: activations of 16
            bits, symmetric. `"int8_weights"`, `"int4_weights"`: activations in float; 4-bit weights of dense
            layers in blocks of 32 that share a scale. `"dynamic"`: int8 weights, and activations in float
            that each operator rounds to 8 bits by itself.
        rules: layer path -> scheme, or None to leave what it matches in float. First match wins.
        preserve: `"sparsity"` keeps the zeros that kernels have, `"clusters"` the weights of equal value
            equal, through training and in the file; or both. Models from `tfopt.prune` keep their zeros
            unasked. A clustered kernel has one grid for all channels.
        input_shapes: of a model whose inputs have sizes of `None` beside the batch, sizes to fix, where an
            operation needs them: the shape of one sample, or a dict by the names of the inputs.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, run and trained by Keras 3. It
            takes fewer layers, and the scheme `"int8"` alone.
        engine_options: of `quantize_apply`, for that engine: see `tfopt.tfmot.quantize_aware`.

    Returns:
        A functional model. Layers keep their names; those of a nested model `block` become `block.conv`.

    Raises:
        InvalidArgumentError: unknown scheme, a rule that matches nothing, a model that is already
            quantization-aware or has nothing to preserve.
        UnsupportedModel: a subclassed model that is not such.
        UnsupportedOperation: an operation that int8 has no rule for. The message names the rule that
            leaves it in float.

    Example:
        ```python
        quantized = tfopt.quantize_aware(model)
        tfopt.quantization.calibrate(quantized, x_train[:512])
        quantized.compile("adam", "sparse_categorical_crossentropy")
        quantized.fit(x_train, y_train, epochs=3)
        tfopt.to_tflite(quantized).save("model.tflite")
        ```

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference (arXiv 1712.05877), sections 2 and 3.
    """
    other = backends.other("quantize_aware", engine, engine_options)
    if other is not None:
        return other.quantize_aware(model, scheme, rules=rules, preserve=preserve, options=engine_options)
    default = scheme_of(scheme)
    chosen = {
        pattern: None if value is None else scheme_of(value) for pattern, value in (rules or {}).items()
    }
    names = checked(preserve)
    require_built(model)
    held = masked(model)
    if is_quantized(model):
        raise InvalidArgumentError(f"The model {model.name!r} is quantization-aware already.")
    with model.distribute_strategy.scope():
        # Reading a model runs its code, on layers that nobody else has.
        functional = as_functional(copy(with_input_shapes(model, input_shapes)))
        plain, paths = canonical(functional, lambda path: is_wide(rules_.setting(chosen, path, default)))
        warn_of_unread(paths.unread_losses)
        keep_masks(plain, paths, held)
        preserve_kernels(plain, names)
        settings = rules_.resolve(chosen, paths.values(), default)
        result = _quantized(plain, settings, paths, default)
        tie_shared_variables(result)
        result.output_names = list(getattr(functional, "output_names", result.output_names))
        return with_class_of(model, result)


def _quantized(
    model: keras.Model,
    settings: Mapping[str, Scheme | None],
    paths: Paths,
    default: Scheme,
) -> keras.Model:
    """Return the quantization-aware copy of a canonical model."""
    flat = Flat(model)
    paths.update(flat.paths(paths))
    if any(map(_integer, settings.values())):
        integer = {path: scheme if _integer(scheme) else None for path, scheme in settings.items()}
        kinds = kinds_of(flat.model, integer, paths)
        by_rule = {
            id(node.operation)
            for node in nodes(flat.model)
            if integer.get(paths.get(node.path, node.path), default) is None
        }
        kinds = kinds | dict.fromkeys(replacing_empty_segments(flat.model, kinds), Kind.FLOAT)
        exact = exact_tensors(flat.model, kinds, by_rule | of_spectra(flat.model, kinds))
        kinds = kept_in_float(flat.model, kinds, exact)
        planned = plan(flat.model, kinds, exact.keys())
    else:  # where all activations stay in float, there is no rule that an operation must have
        kinds = {id(node.operation): Kind.FLOAT for node in nodes(flat.model)}
        planned = Plan()
    final = {id(tensor) for tensor in flat.model.outputs}
    copier = Copier(share_variables=True)
    wrappers: dict[int, keras.Layer] = {}
    quantizers: dict[str, keras.Layer] = {}
    boundaries = FloatBoundaries()
    exported = {
        id(tensor) for node in nodes(model) for each in (node, *looped(node)) for tensor in each.outputs
    }
    makers = {id(tensor): node for node in nodes(flat.model) for tensor in node.outputs}
    not_negative = nonnegative_tensors(flat.model)
    leaving = flat.leaving(planned)
    numbers, tensors = flat.numbered(planned, leaving)

    def scheme_of_node(node: Node | None) -> Scheme | None:
        return default if node is None else settings.get(paths.get(node.path, node.path), default)

    widths = Widths(flat.model, planned, kinds, scheme_of_node)
    narrow_numbers, narrow_counts = flat.narrowings(widths)
    negative = {name for tensor, name in planned.quantizers.items() if tensor not in not_negative}

    def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        copied = copier(node)
        operation = id(node.operation)
        path = paths.get(node.path, node.path)
        scheme = settings.get(path, default) if operation in kinds else None
        if operation in wrappers:
            return wrappers[operation](args[0])
        if operation in planned.standalone:
            wrappers[operation] = _standalone(planned.standalone[operation], node.operation, copied)
        elif scheme is not None and _has_weights_for(node, scheme, kinds[operation]):
            wrappers[operation] = WeightQuantizer(
                copied, _weight_scheme(node, scheme, path), name=copied.name, dtype=copied.dtype_policy
            )
        else:
            if isinstance(copied, MaskedScores):
                copied.in_float = kinds.get(operation, Kind.FLOAT) is Kind.FLOAT
            return copied(*args, **kwargs)
        return wrappers[operation](args[0])

    def quantize(
        old: keras.KerasTensor,
        new: keras.KerasTensor,
        scheme: Scheme | None,
        rounds: bool = False,
        **kwargs: Any,
    ) -> keras.KerasTensor:
        tensor = id(leaving.get(id(old), flat.tensor(old)))
        name = planned.quantizers.get(tensor)
        if name is None:
            return new
        if tensor in planned.exact and not rounds:
            return new
        wide = widths.of_quantizer(name) == 16
        if tensor in planned.fixed:
            if name not in quantizers:
                quantizers[name] = FixedQuantizer(
                    *(WIDE_RANGE if wide else planned.fixed[tensor]),
                    inference_only=tensor in final,
                    num_bits=widths.of_quantizer(name),
                    name=name,
                )
        elif wide and name not in quantizers:
            found = scheme or default
            quantizers[name] = WideQuantizer(observer=found.observer, tensors=tensors[name], name=name)
        elif name not in quantizers:
            found = scheme or default  # of tensors that share a range, the first one's scheme counts
            quantizers[name] = ActivationQuantizer(
                observer=found.observer,
                activation_range=found.activation_range,
                symmetric=found.symmetric,
                nonnegative=name not in negative,
                tensors=tensors[name],
                name=name,
            )
        return quantizers[name](new, tensor=numbers[id(old)], **kwargs)

    prescribed = {planned.quantizers[tensor]: range_ for tensor, range_ in planned.fixed.items()}
    narrow: dict[int, keras.KerasTensor] = {}

    def narrowed(node: Node, values: Any) -> Any:
        """Return what an operator of 8 bits is called with, rounded to them where it has 16."""
        found = iter(zip(node.inputs, widths.to_narrow(flat.node(node)), strict=True))

        def rounded(value: Any) -> Any:
            old, wide = next(found) if isinstance(value, keras.KerasTensor) else (None, None)
            if wide is None:
                return value
            name = wide.removesuffix(QUANTIZER_SUFFIX) + NARROW_SUFFIX
            if name not in quantizers and wide in prescribed:
                quantizers[name] = FixedQuantizer(*prescribed[wide], name=name)
            elif name not in quantizers:
                scheme = scheme_of_node(node) or default
                quantizers[name] = ActivationQuantizer(
                    observer=scheme.observer,
                    symmetric=scheme.symmetric,
                    tensors=narrow_counts[wide],
                    name=name,
                )
            if id(value) not in narrow:
                narrow[id(value)] = quantizers[name](value, tensor=narrow_numbers[wide, id(old)])
            return narrow[id(value)]

        return keras.tree.map_structure(rounded, values)

    rounded_for_some: dict[int, keras.KerasTensor] = {}

    def as_read(node: Node, values: Any) -> Any:
        """Return what an operator is called with: a tensor that is kept exact is rounded for some of them."""
        olds = iter(node.inputs)

        def read(value: Any) -> Any:
            old = next(olds) if isinstance(value, keras.KerasTensor) else None
            if id(old) in leaving:
                if id(old) not in rounded_for_some:
                    rounded_for_some[id(old)] = quantize(old, boundaries.between(node, value), default)
                return rounded_for_some[id(old)]
            exact = old is not None and id(flat.tensor(old)) in planned.exact
            if old is None or not exact or reads_exactly(flat.node(node), id(flat.tensor(old)), kinds):
                return value
            if id(old) not in rounded_for_some:
                rounded_for_some[id(old)] = quantize(old, value, default, rounds=True)
            return rounded_for_some[id(old)]

        return keras.tree.map_structure(read, values)

    def quantized(old: keras.KerasTensor) -> bool:
        tensor = id(flat.tensor(old))
        return tensor in planned.quantizers and tensor not in planned.exact

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        if id(node.outputs[0]) not in exported:  # makes losses alone
            return call(node, *keras.tree.map_structure(as_given, (args, kwargs)))
        chosen = kinds[id(node.operation)]
        args, kwargs = as_read(node, narrowed(node, (args, kwargs)))
        on_grid = chosen is Kind.FLOAT and scheme_of_node(node) is not None
        factors = on_grid and _takes_in_factors(flat.node(node), makers)
        args, kwargs = boundaries.into(node, chosen, (args, kwargs), always=factors)
        made = keras.tree.flatten(call(node, args, kwargs))
        averaged = average_pool.rounding(node) if chosen is Kind.AVERAGE else {}
        scheme = settings.get(paths.get(node.path, node.path), default)
        results = []
        for old, new in zip(node.outputs, made, strict=True):
            if quantized(old):
                new = boundaries.out_of(node, chosen, new)
            elif chosen is Kind.FLOAT or isinstance(node.operation, Constant):
                boundaries.left_in_float(new)
            results.append(quantize(old, new, scheme, **averaged))
        return results

    inputs = iter(model.inputs)
    given: dict[int, keras.KerasTensor] = {}

    def as_given(value: Any) -> Any:
        """Return an input as it is in place of the quantized one: a loss may read labels in it."""
        return given.get(id(value), value)

    def emit_input(new: keras.KerasTensor) -> keras.KerasTensor:
        old = next(inputs)
        if not quantized(old):
            boundaries.left_in_float(new)
        made = quantize(old, new, default)
        given[id(made)] = new
        return made

    result = replay(beside_losses(model, paths.losses), emit, emit_input)
    result = adding_losses(result, model.output, paths.losses)
    for wrapper in wrappers.values():
        if isinstance(wrapper, WeightQuantizer):
            wrapper.start_steps()
    fuse_in_place(result)
    return result


_AFFINE = (Kind.NORMALIZATION, Kind.SCALING, Kind.SUM)


def _takes_in_factors(node: Node, makers: Mapping[int, Node]) -> bool:
    """Return whether the converter multiplies factors of the input into the weights of an operator.

    They would lie on their grid no more. It does so with fully connected layers alone.

    Args:
        node: of the operator.
        makers: `id` of a tensor -> what makes it.
    """
    if not isinstance(node.operation, (keras.layers.Dense, TiedEmbedding)):
        return False
    before = makers.get(id(node.inputs[0]))
    while before is not None and kind(before.operation) is Kind.SAME_SCALE:
        before = makers.get(id(before.inputs[0]))
    return before is not None and kind(before.operation) in _AFFINE


def _standalone(kind: Kind, operation: keras.Operation, copied: Any) -> keras.Layer:
    """Return the layer for an operation that nothing takes in."""
    if kind is Kind.NORMALIZATION:
        return StandaloneAffine(copied, name=copied.name, dtype=copied.dtype_policy)
    limit = ceiling(operation)
    dtype = getattr(copied, "dtype_policy", None)
    return StandaloneReLU(None if limit == math.inf else limit, name=copied.name, dtype=dtype)


def _integer(scheme: Scheme | None) -> bool:
    return scheme is not None and scheme.activation_bits is not None


def _has_weights_for(node: Node, scheme: Scheme, kind: Kind) -> bool:
    """Return whether the weights of an operation are put on a grid of their own."""
    if _integer(scheme):
        return kind in (Kind.LINEAR, Kind.LINEAR_ALONE)
    return weights_of(node.operation) is not None


def _weight_scheme(node: Node, scheme: Scheme, path: str) -> Scheme:
    """Return the scheme of a layer's weights, which what is to be preserved may change."""
    variable, _ = required_weights(node.operation)
    if scheme.weight_bits == 1 and isinstance(variable.constraint, SparsityMask):
        raise InvalidArgumentError(
            f"The kernel of {path!r} is pruned, and weights of 1 bit have no zero: take 'ternary' for it."
        )
    # Scales of their own would turn one centroid into another integer in each channel.
    if kept_clusters(variable.constraint) is None:
        return scheme
    return dataclasses.replace(scheme, per_channel=False, block_size=None)
