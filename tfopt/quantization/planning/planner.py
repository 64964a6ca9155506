"""From a canonical model and the scheme of each layer to the plan of its quantization.

The steps of a loop are alike, so decisions are made on a model in which a few of them are unrolled; the plan
is that of the model with the loop.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfopt.clustering.constraint import kept_clusters
from tfopt.errors import InvalidArgumentError
from tfopt.graph import Constant, Node, Recurrence, beside_losses, looped, nodes
from tfopt.pruning import SparsityMask
from tfopt.quantization.canonicalize.rewrite_context import Paths
from tfopt.quantization.layers.tied_embedding import TiedEmbedding
from tfopt.quantization.operators.non_negative import nonnegative_tensors
from tfopt.quantization.operators.traits import INT16_RANGE, Kind, kind
from tfopt.quantization.operators.weights import block_size_of, required_weights, weights_of
from tfopt.quantization.planning.bit_widths import BitWidths
from tfopt.quantization.planning.float_boundary import BOUNDARY_SUFFIX
from tfopt.quantization.planning.in_float import activation_kinds, has_integer_activations
from tfopt.quantization.planning.kinds import described
from tfopt.quantization.planning.quantization_plan import (
    CallSpec,
    InputSpec,
    Limits,
    OutputSpec,
    QuantizationPlan,
    Quantized,
    QuantizerSpec,
    WeightSpec,
)
from tfopt.quantization.planning.quantizer_placement import QuantizerPlacement, place_quantizers
from tfopt.quantization.planning.unrolled import Flat
from tfopt.quantization.planning.unrounded import reads_exactly
from tfopt.quantization.quantizers import average_pool
from tfopt.quantization.quantizers.names import quantized_by, requantizer_name
from tfopt.quantization.scheme import Scheme

logger = logging.getLogger(__name__)


def planned_calls(model: keras.Model, paths: Paths) -> list[Node]:
    """Return the calls of a canonical model in the order of a plan's: those inside a loop in its place.

    Args:
        model: canonical.
        paths: of it; what makes its losses is among the calls.
    """
    return [
        each
        for node in nodes(beside_losses(model, paths.losses))
        for each in (looped(node) if isinstance(node.operation, Recurrence) else [node])
    ]


def plan_quantization(
    model: keras.Model, settings: Mapping[str, Scheme | None], paths: Paths, default: Scheme
) -> QuantizationPlan:
    """Return the plan of a model's quantization.

    Args:
        model: canonical. It is not changed.
        settings: path -> scheme, None for float.
        paths: name -> path of every operation; those of loops are added.
        default: the scheme of what has no path of its own.

    Raises:
        UnsupportedOperation: an operation that int8 has no rule for.
        InvalidArgumentError: a pruned kernel is to have weights of 1 bit.
    """
    plan = _Planner(model, settings, paths, default).plan()
    _log(plan)
    return plan


class _Planner:
    """Decides call by call, in order: the first tensor of a quantizer says what it is like."""

    def __init__(
        self, model: keras.Model, settings: Mapping[str, Scheme | None], paths: Paths, default: Scheme
    ) -> None:
        flat = Flat(model)
        paths.update(flat.paths(paths))
        self._model, self._flat = model, flat
        self._settings, self._paths, self._default = settings, paths, default
        activations = activation_kinds(flat.model, settings, paths, default)
        self._kinds, self._reasons = activations.kinds, activations.reasons
        self._placement = (
            place_quantizers(flat.model, self._kinds, activations.exact.keys())
            if activations.integer
            else QuantizerPlacement()
        )
        self._widths = BitWidths(flat.model, self._placement, self._kinds, self._scheme_of)
        self._leaving = flat.leaving(self._placement)
        self._numbers, self._counts = flat.numbered(self._placement, self._leaving)
        self._requantized_numbers, self._requantized_counts = flat.requantizations(self._widths)
        nonnegative = nonnegative_tensors(flat.model)
        placed = self._placement.quantizers
        self._negative = {name for tensor, name in placed.items() if tensor not in nonnegative}
        self._prescribed = {placed[tensor]: limits for tensor, limits in self._placement.fixed.items()}
        self._final = {id(tensor) for tensor in flat.model.outputs}
        self._makers = {id(tensor): node for node in nodes(flat.model) for tensor in node.outputs}
        self._exported = {
            id(tensor) for node in nodes(model) for each in (node, *looped(node)) for tensor in each.outputs
        }
        self._origins = {id(tensor): tensor.name for tensor in model.inputs}
        self._quantizers: dict[str, QuantizerSpec] = {}
        self._tensors: dict[str, dict[str, None]] = {}  # quantizer -> paths of what makes its tensors
        self._weights: dict[int, WeightSpec | None] = {}
        self._floats: set[int] = set()
        self._boundaries: dict[tuple[int, str], str | None] = {}

    def plan(self) -> QuantizationPlan:
        """Return the plan."""
        inputs = {tensor.name: self._input_of_model(tensor) for tensor in self._model.inputs}
        calls = tuple(self._call(node) for node in planned_calls(self._model, self._paths))
        quantizers = (
            replace(spec, tensors=tuple(self._tensors[name])) for name, spec in self._quantizers.items()
        )
        weights = (spec for spec in self._weights.values() if spec is not None)
        return QuantizationPlan(
            inputs=inputs, calls=calls, quantizers=tuple(quantizers), weights=tuple(weights)
        )

    def _path(self, node: Node) -> str:
        return self._paths.get(node.path, node.path)

    def _scheme_of(self, node: Node | None) -> Scheme | None:
        return self._default if node is None else self._settings.get(self._path(node), self._default)

    def _input_of_model(self, tensor: keras.KerasTensor) -> OutputSpec:
        if not self._is_quantized(tensor):
            self._floats.add(id(tensor))
        return OutputSpec(quantized=self._quantized(tensor, self._default))

    def _call(self, node: Node) -> CallSpec:
        operation = id(node.operation)
        path = self._path(node)
        self._origins.update({id(tensor): path for tensor in node.outputs})
        spec = CallSpec(
            path=path,
            operation=described(node),
            kind=self._kinds.get(operation),
            scheme=self._scheme_of(node),
            inputs=(),
            outputs=(),
            weights=self._weights_of(node),
            standalone=self._placement.standalone.get(operation),
        )
        if id(node.outputs[0]) not in self._exported:
            return replace(spec, for_losses=True)
        call = self._flat.node(node)
        fused_into = self._placement.fused.get(id(call.outputs[0]))
        return replace(
            spec,
            inputs=self._inputs(node, call),
            outputs=self._outputs(node),
            fused_into=None if fused_into is None else self._paths.get(fused_into, fused_into),
            in_float=self._reasons.get(operation) if self._makes_floats(node) else None,
        )

    # What becomes of the tensors that an operator reads.

    def _inputs(self, node: Node, call: Node) -> tuple[InputSpec, ...]:
        """Return what becomes of each input.

        Args:
            node: of the operator.
            call: the same in the model without loops.
        """
        in_float = self._kinds[id(node.operation)] is Kind.FLOAT
        factors = in_float and self._scheme_of(node) is not None and self._takes_in_factors(call)
        bounded = self._makes_floats(node)
        found = []
        for tensor, int16 in zip(node.inputs, self._widths.requantized(call), strict=True):
            read = InputSpec()
            if int16 is not None:
                read = replace(read, requantized=self._requantized(node, tensor, int16))
            read = self._rounded(node, call, tensor, read)
            if factors or (bounded and (read != InputSpec() or id(tensor) not in self._floats)):
                form = "rounded" if read.rounded else "requantized" if read.requantized else ""
                read = replace(read, boundary=self._boundary(node, tensor, form))
            found.append(read)
        return tuple(found)

    def _requantized(self, node: Node, tensor: keras.KerasTensor, int16: str) -> Quantized:
        """Return the quantizer to 8 bits of a tensor that has passed the quantizer `int16`."""
        name = requantizer_name(int16)
        if name not in self._quantizers:
            scheme = self._scheme_of(node) or self._default
            spec = QuantizerSpec(name=name, bits=8, tensors=(), requantizes=int16)
            if int16 in self._prescribed:
                spec = replace(spec, limits=self._prescribed[int16])
            else:
                count = self._requantized_counts[int16]
                spec = replace(spec, observer=scheme.observer, symmetric=scheme.symmetric, count=count)
            self._quantizers[name] = spec
        self._note(name, self._origins.get(id(tensor), quantized_by(int16)))
        return Quantized(quantizer=name, tensor=self._requantized_numbers[int16, id(tensor)])

    def _rounded(self, node: Node, call: Node, tensor: keras.KerasTensor, read: InputSpec) -> InputSpec:
        """Return how an operator reads a tensor that others read unrounded, or in the scale of a loop."""
        image = id(self._flat.tensor(tensor))
        if id(tensor) in self._leaving:
            # Of two roundings in a row the converter would leave out one.
            boundary = self._boundary(node, tensor, "rescaled")
            return replace(read, rescaling_boundary=boundary, rounded=self._quantized(tensor, self._default))
        if image not in self._placement.exact or reads_exactly(call, image, self._kinds):
            return read
        return replace(read, rounded=self._quantized(tensor, self._default, rounds=True))

    def _boundary(self, node: Node, tensor: keras.KerasTensor, form: str) -> str | None:
        """Return the boundary that a tensor passes in one form, called after its first reader."""
        name = _boundary_name(node) if _is_float(tensor) else None
        return self._boundaries.setdefault((id(tensor), form), name)

    def _takes_in_factors(self, call: Node) -> bool:
        """Return whether the converter multiplies factors of the input into the weights of an operator.

        They would no longer lie on their grid. It does so for fully connected layers alone.
        """
        if not isinstance(call.operation, (keras.layers.Dense, TiedEmbedding)):
            return False
        before = self._makers.get(id(call.inputs[0]))
        while before is not None and kind(before.operation) is Kind.SAME_SCALE:
            before = self._makers.get(id(before.inputs[0]))
        return before is not None and kind(before.operation) in _AFFINE

    # What becomes of the tensors that an operator makes.

    def _outputs(self, node: Node) -> tuple[OutputSpec, ...]:
        chosen = self._kinds[id(node.operation)]
        rounding = _rounding(node) if chosen is Kind.AVERAGE else {}
        found = []
        for tensor in node.outputs:
            boundary = None
            if self._is_quantized(tensor):
                crosses = self._makes_floats(node) and _is_float(tensor)
                boundary = _boundary_name(node) if crosses else None
            elif chosen is Kind.FLOAT or isinstance(node.operation, Constant):
                self._floats.add(id(tensor))
            quantized = self._quantized(tensor, self._scheme_of(node) or self._default, **rounding)
            found.append(OutputSpec(boundary=boundary, quantized=quantized))
        return tuple(found)

    def _makes_floats(self, node: Node) -> bool:
        """Return whether an operation is in float and makes floats; a comparison may be of integers."""
        return self._kinds[id(node.operation)] is Kind.FLOAT and any(map(_is_float, node.outputs))

    def _is_quantized(self, tensor: keras.KerasTensor) -> bool:
        """Return whether a tensor passes a quantizer, for whoever reads it."""
        image = id(self._flat.tensor(tensor))
        return image in self._placement.quantizers and image not in self._placement.exact

    def _quantized(
        self, tensor: keras.KerasTensor, scheme: Scheme, *, rounds: bool = False, **rounding: Any
    ) -> Quantized | None:
        """Return the quantizer of a tensor; None without one.

        Args:
            tensor: of the canonical model.
            scheme: of what makes it.
            rounds: whether one that is kept exact is rounded.
            rounding: the arguments of a mean.
        """
        image = id(self._leaving.get(id(tensor), self._flat.tensor(tensor)))
        name = self._placement.quantizers.get(image)
        if name is None or (image in self._placement.exact and not rounds):
            return None
        if name not in self._quantizers:
            self._quantizers[name] = self._quantizer(name, image, scheme)
        self._note(name, self._origins.get(id(tensor), quantized_by(name)))
        return Quantized(quantizer=name, tensor=self._numbers[id(tensor)], **rounding)

    def _quantizer(self, name: str, image: int, scheme: Scheme) -> QuantizerSpec:
        """Return what a quantizer is like, whose first tensor `image` is."""
        bits = self._widths.of_quantizer(name)
        spec = QuantizerSpec(name=name, bits=bits, tensors=())
        limits: Limits | None = self._placement.fixed.get(image)
        if limits is not None:
            limits = INT16_RANGE if bits == 16 else limits
            return replace(spec, limits=limits, inference_only=image in self._final)
        spec = replace(spec, observer=scheme.observer, count=self._counts[name])
        if bits == 16:
            return replace(spec, symmetric=True)
        return replace(
            spec,
            activation_range=scheme.activation_range,
            symmetric=scheme.symmetric,
            nonnegative=name not in self._negative,
        )

    def _note(self, quantizer: str, origin: str) -> None:
        self._tensors.setdefault(quantizer, {})[origin] = None

    # What becomes of weights.

    def _weights_of(self, node: Node) -> WeightSpec | None:
        """Return how the weights of an operation are quantized; None where they are not."""
        operation = id(node.operation)
        if operation not in self._weights:
            self._weights[operation] = self._new_weights(node) if operation in self._kinds else None
        return self._weights[operation]

    def _new_weights(self, node: Node) -> WeightSpec | None:
        scheme = self._scheme_of(node)
        if scheme is None or id(node.operation) in self._placement.standalone:
            return None
        if has_integer_activations(scheme):
            quantized = self._kinds[id(node.operation)] in (Kind.LINEAR, Kind.LINEAR_ALONE)
        else:
            quantized = weights_of(node.operation) is not None
        return _weight_spec(node, scheme, self._path(node)) if quantized else None


_AFFINE = (Kind.NORMALIZATION, Kind.SCALING, Kind.SUM)


def _weight_spec(node: Node, scheme: Scheme, path: str) -> WeightSpec:
    """Return how the weights of a layer are quantized; what is to be preserved may change the scheme."""
    variable, axes = required_weights(node.operation)
    if scheme.weight_bits == 1 and isinstance(variable.constraint, SparsityMask):
        raise InvalidArgumentError(
            f"The kernel of {path!r} is pruned, and weights of 1 bit have no zero: take 'ternary' for it."
        )
    clusters = kept_clusters(variable.constraint)
    if clusters is not None and not clusters.per_channel:
        # Scales of their own would turn one centroid into another integer in each channel.
        scheme = replace(scheme, per_channel=False, block_size=None)
    return WeightSpec(
        path=path,
        layer=type(node.operation).__name__,
        shape=tuple(variable.shape),
        channels=int(np.prod([variable.shape[axis] for axis in axes])),
        scheme=scheme,
        block_size=block_size_of(node.operation, scheme.block_size),
    )


def _rounding(node: Node) -> dict[str, Any]:
    """Return how the quantizer after a mean of values in its range is called."""
    found = average_pool.rounding(node)
    factors = found.get("factors")
    return found if factors is None else {**found, "factors": tuple(map(tuple, factors))}


def _boundary_name(node: Node) -> str:
    return node.path.replace("/", ".") + BOUNDARY_SUFFIX


def _is_float(tensor: keras.KerasTensor) -> bool:
    return bool(keras.backend.is_float_dtype(tensor.dtype))


def _log(plan: QuantizationPlan) -> None:
    for path, reason in plan.in_float.items():
        logger.info("%s stays in float: %s", path, reason)
    for path, into in plan.fused.items():
        logger.debug("%s is fused into %s", path, into)
    for spec in plan.weights:
        logger.debug("%s: weights of %s bits, %s", spec.path, spec.scheme.weight_bits, spec.scales)
    for quantizer in plan.quantizers:
        logger.debug("%s: %d bits, range %s", quantizer.name, quantizer.bits, quantizer.range())
