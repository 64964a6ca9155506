"""`tfopt.regularization.regularize`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import KINDS, Kernel, kernels
from tfopt.rules import resolve

logger = logging.getLogger(__name__)

RegularizerLike = Any
"""A `keras.regularizers.Regularizer`, a function, or a name such as `"l2"`; None leaves a kernel as it is."""

_DEFAULT: Any = object()


def regularize(
    model: keras.Model,
    regularizer: RegularizerLike = None,
    *,
    rules: Mapping[str, RegularizerLike] | None = None,
) -> keras.Model:
    """Return a copy of a model whose kernels have penalties, which its training adds to the loss.

    For a model that exists: `keras.applications`, one of a file, one of somebody else's code. A regularizer
    that a kernel has is replaced. The copy trains with plain `compile` and `fit`; a `.keras` file holds the
    penalties where Keras's own layers hold the kernels, and loads without tfopt where they are Keras's.

    Args:
        model: any built model. It is left as it is.
        regularizer: of the kernels that no rule names: `keras.regularizers.L1`, `L2`, `L1L2` (elastic net),
            `OrthogonalRegularizer`, `tfopt.regularization.GroupLasso`, one of your own; None for none. It
            goes to every kernel that `tfopt.prune` prunes unasked, never to biases and normalizations.
        rules: layer path pattern -> the regularizer of these, or None to leave them as they are; first match
            wins. Depthwise kernels and embeddings get one by a rule alone.

    Raises:
        InvalidArgumentError: a rule matches nothing, something is no regularizer, no kernel would get one, or
            the model is quantization-aware.
        UnsupportedModel: the model is subclassed and has not been called.

    Example:
        ```python
        model = regularize(model, keras.regularizers.L2(1e-4), rules={"head": keras.regularizers.L1(1e-5)})
        ```
    """
    graph.require_built(model)
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware: give the float model penalties, which "
            "quantize_aware takes over."
        )
    default = _regularizer("regularizer", regularizer)
    given = {pattern: _regularizer(f"rule {pattern!r}", each) for pattern, each in _items(rules)}
    with model.distribute_strategy.scope():
        result = graph.copy(model)
        found = kernels(result)
        settings: dict[str, Any] = resolve(given, dict.fromkeys(each.path for each in found), _DEFAULT)
        chosen = []
        for kernel in found:
            setting = settings[kernel.path]
            if setting is _DEFAULT:
                setting = default if kernel.by_default else None
            if setting is not None:
                chosen.append(kernel)
                logger.info("%s is regularized by %s", kernel.path, type(setting).__name__)
                _put(kernel, setting)
    if not chosen:
        raise InvalidArgumentError(
            f"regularize: no kernel of {model.name!r} gets a regularizer. Give one for all, such as "
            "keras.regularizers.L2(1e-4), or name layers in rules; layers with kernels are "
            f"{KINDS}: {', '.join(dict.fromkeys(each.path for each in found)) or 'none here'}."
        )
    lost = [each.path for each in chosen if not each.saved or each.group is not None]
    if lost:
        warnings.warn(
            f"A .keras file of this model does not hold the penalties of {', '.join(map(repr, lost[:3]))}: "
            "no config has a place for them. Call regularize again on the loaded model before you train it.",
            UserWarning,
            stacklevel=2,
        )
    return result


def _items(rules: Any) -> list[tuple[str, Any]]:
    if rules is not None and not isinstance(rules, Mapping):
        raise InvalidArgumentError(
            "regularize: expected rules to be a dict, pattern of layer paths -> regularizer, such as "
            f"{{'head': None}}, got {rules!r}."
        )
    return [*(rules or {}).items()]


def _regularizer(name: str, value: RegularizerLike) -> Any:
    try:
        found = keras.regularizers.get(value)
    except (ValueError, TypeError):
        found = value
    if found is not None and not callable(found):
        raise InvalidArgumentError(
            f"regularize: expected {name} to be a regularizer, such as keras.regularizers.L2(1e-4), got "
            f"{value!r}."
        )
    return found


def _put(kernel: Kernel, regularizer: Any) -> None:
    kernel.variable.regularizer = regularizer
    if kernel.constraint_attribute is not None:
        attribute = kernel.constraint_attribute.replace("_constraint", "_regularizer")
        if hasattr(kernel.layer, attribute):
            setattr(kernel.layer, attribute, regularizer)
