"""What quantization-aware training would make of a model, without making it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import keras

from tfopt import rules as rules_
from tfopt.clustering.kept import clustered_kernels, release
from tfopt.errors import InvalidArgumentError
from tfopt.graph import (
    InputShapes,
    as_functional,
    copy,
    is_quantized,
    require_built,
    require_tensorflow,
    warn_of_unread,
    with_input_shapes,
)
from tfopt.pruning.masks import masked
from tfopt.quantization.canonicalize.canonicalize import canonical
from tfopt.quantization.canonicalize.rewrite_context import Paths
from tfopt.quantization.planning.bit_widths import is_int16
from tfopt.quantization.planning.planner import plan_quantization
from tfopt.quantization.planning.quantization_plan import QuantizationPlan
from tfopt.quantization.qat.preserve import checked, keep_clusters, keep_masks, preserve_kernels
from tfopt.quantization.scheme import Scheme, SchemeLike, scheme_of

logger = logging.getLogger(__name__)


def plan(
    model: keras.Model,
    scheme: SchemeLike = "int8",
    *,
    rules: Mapping[str, SchemeLike | None] | None = None,
    preserve: str | Iterable[str] = (),
    input_shapes: InputShapes | None = None,
) -> QuantizationPlan:
    """Return how `quantize_aware` would quantize `model`, without creating a layer.

    The plan prints as a table: a line for each input and each operation, with its bits, where its range comes
    from (its own values, those of all tensors that share it, or TFLite, which prescribes some), the bits of
    its weights, what it is fused into, and why it stays in float. `calls`, `quantizers` and `weights` are the
    same as data.

    Args:
        model, scheme, rules, preserve, input_shapes: as `quantize_aware` takes them.

    Raises:
        InvalidArgumentError, UnsupportedModel, UnsupportedOperation: as `quantize_aware` does.

    Example:
        >>> print(tfopt.plan(model, rules={"head": None}))
    """
    prepared = prepare("plan", model, scheme, rules, preserve, input_shapes)
    warn_of_unread(prepared.paths.unread_losses)
    return prepared.plan()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A model that is ready to be planned.

    Attributes:
        functional: the model that was given, as a graph, on layers of its own.
        model: canonical, with what is to be preserved as constraints.
        paths: of its operations.
        settings: path -> scheme, None for float.
        default: the scheme of what no rule matches.
    """

    functional: keras.Model
    model: keras.Model
    paths: Paths
    settings: Mapping[str, Scheme | None]
    default: Scheme

    def plan(self) -> QuantizationPlan:
        """Return the plan of its quantization."""
        return plan_quantization(self.model, self.settings, self.paths, self.default)


def prepare(
    caller: str,
    model: keras.Model,
    scheme: SchemeLike,
    rules: Mapping[str, SchemeLike | None] | None,
    preserve: str | Iterable[str],
    input_shapes: InputShapes | None,
) -> Prepared:
    """Check the arguments of `quantize_aware` and rewrite a copy of the model to the operations of a plan.

    Errors name `caller`, the function that the user called.
    """
    default = scheme_of(scheme)
    chosen = {
        pattern: None if value is None else scheme_of(value) for pattern, value in (rules or {}).items()
    }
    names = checked(caller, preserve)
    require_tensorflow(caller)
    require_built(model)
    held, clustered = masked(model), clustered_kernels(model)
    if is_quantized(model):
        raise InvalidArgumentError(f"The model {model.name!r} is quantization-aware already.")
    with model.distribute_strategy.scope():
        # Reading a model runs its code, on layers that nobody else has.
        functional = as_functional(copy(with_input_shapes(model, input_shapes)))
        release(functional)  # kernels change their shapes
        canonical_model, paths = canonical(
            functional, lambda path: is_int16(rules_.setting(chosen, path, default))
        )
        keep_masks(canonical_model, paths, held)
        keep_clusters(canonical_model, paths, clustered)
        preserve_kernels(canonical_model, names)
    settings = rules_.resolve(chosen, paths.values(), default)
    _log_rules(chosen, paths)
    return Prepared(
        functional=functional, model=canonical_model, paths=paths, settings=settings, default=default
    )


def _log_rules(rules: Mapping[str, Scheme | None], paths: Mapping[str, str]) -> None:
    """Log which rule matched which operation."""
    patterns = {pattern: pattern for pattern in rules}
    for path in dict.fromkeys(paths.values()):
        pattern = rules_.setting(patterns, path, "")
        if pattern:
            if rules[pattern] is None:
                logger.info("rule %r leaves %s in float", pattern, path)
            else:
                logger.info("rule %r gives %s the scheme %s", pattern, path, rules[pattern])
