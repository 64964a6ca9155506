"""`tfopt.prune`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import keras

from tfopt import backends, graph
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import KINDS, Kernel, kernels
from tfopt.pruning.masks import attach, carry_masks, masked, raise_sparsity
from tfopt.pruning.plan import Plan
from tfopt.pruning.schedule import Cubic, check_sparsity
from tfopt.rules import resolve

logger = logging.getLogger(__name__)

_DEFAULT: Any = object()


def prune(
    model: keras.Model,
    sparsity: float = 0.8,
    *,
    schedule: Cubic | None = None,
    pattern: None = None,
    rules: Mapping[str, float | None] | None = None,
    scope: Literal["layer", "global"] = "layer",
    engine: Literal["keras", "tfmot"] = "keras",
    engine_options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` whose smallest weights are zero and stay zero in training.

    Every kernel is pruned by magnitude, at whatever depth it is: those of dense, einsum, convolution,
    recurrent and attention layers, of layers in layers and nested models, and what layers of your own made
    by `add_weight` and multiply by. Biases, normalizations and whatever has one dimension never are;
    depthwise kernels, embeddings, and variables that are added or looked up, where a rule names them
    (`tfopt.pruning.left_out` lists them). The copy holds the same layers and trains with `compile` and
    `fit`; its optimizer keeps the zeros (see `tfopt.pruning.SparsityMask`). It saves and loads as a `.keras`
    file, with its masks where Keras's own layers hold the kernels; call `tfopt.pruning.keep_zeros` after
    loading one with others.
    Pruning a pruned model keeps the zeros it has and adds to them.

    Without a schedule all zeros are made at once; train a little to recover the accuracy. With one,
    `fit` needs the callback that follows the schedule, and says so if it is missing:

        model = tfopt.prune(model, 0.8, schedule=tfopt.pruning.Cubic(end=0.7))
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=6, callbacks=[tfopt.callbacks.PruningSchedule()])

    Args:
        model: any built model: functional, Sequential, or subclassed and called once. It is left as it is.
        sparsity: the share of zeros, in [0, 1), of each kernel or of all together (see `scope`). Counts
            are rounded to the nearest weight.
        schedule: how the sparsity rises while training.
        pattern: None, for single weights anywhere.
        rules: layer path pattern -> sparsity, or None for a layer that is left as it is; the first
            match wins. A layer that a rule gives a sparsity is pruned by itself, also in global scope.
            Paths go into layers: `"mha/query"`, `"lstm/recurrent_kernel"`, `"block/dense"`.
        scope: `"layer"` prunes every kernel to `sparsity`; `"global"` prunes the smallest weights of
            the whole model, so that layers end with different shares and may lose all their weights.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, run and trained by Keras 3: train
            the model that is returned, then call `tfopt.tfmot.strip` on it.
        engine_options: of `prune_low_magnitude`, for that engine: see `tfopt.tfmot.prune`.

    Raises:
        InvalidArgumentError: an argument is out of range, a rule is of no use, or there is no kernel.
        UnsupportedModel: the model is subclassed and has not been called.
    """
    return pruned_copy(
        model,
        sparsity,
        schedule=schedule,
        pattern=pattern,
        rules=rules,
        scope=scope,
        engine=engine,
        engine_options=engine_options,
        warn=True,
    )


def pruned_copy(
    model: keras.Model,
    sparsity: float,
    *,
    schedule: Cubic | None,
    pattern: None = None,
    rules: Mapping[str, float | None] | None,
    scope: Literal["layer", "global"],
    engine: Literal["keras", "tfmot"],
    engine_options: Mapping[str, Any] | None,
    warn: bool = False,
) -> keras.Model:
    """Return what `prune` returns; `warn` of masks that a file does not hold, where nobody cares for them."""
    other = backends.other("prune", engine, engine_options, scope=(scope, "layer"), pattern=(pattern, None))
    if other is not None:
        return other.prune(model, sparsity, schedule=schedule, rules=rules, options=engine_options)
    _check_offered("pattern", pattern, None, "leave it None to prune single weights anywhere")
    default = Plan(sparsity, schedule, scope)
    if schedule is not None:
        if not isinstance(schedule, Cubic):
            raise InvalidArgumentError(f"schedule must be a tfopt.pruning.Cubic or None, got {schedule!r}.")
        if schedule.initial_sparsity > sparsity:
            raise InvalidArgumentError(
                f"The schedule starts at sparsity {schedule.initial_sparsity}, above the final {sparsity}: "
                "lower initial_sparsity, for zeros stay zero."
            )
    graph.require_built(model)
    with model.distribute_strategy.scope():
        pruned = graph.copy(model)
        carry_masks(model, pruned)
        for entry in masked(pruned):
            entry.mask.plan = None
        entries = [(attach(kernel, plan), plan) for kernel, plan in _plans(pruned, default, rules)]
        raise_sparsity(entries, [plan.initial_sparsity for _, plan in entries])
    if warn:
        _warn_of_files([entry.kernel for entry, _ in entries])
    return pruned


def _warn_of_files(kernels: list[Kernel]) -> None:
    lost = [kernel.path for kernel in kernels if not kernel.saved]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        warnings.warn(
            f"A .keras file of this model does not hold the masks of {', '.join(map(repr, lost[:3]))}{more}: "
            "no config has a place for them, in layers of your own, or next to the kernels that Keras knows "
            "constraints for. To train the loaded model further with its zeros, call "
            "tfopt.pruning.keep_zeros(model) before you compile it.",
            stacklevel=4,
        )


def left_out(model: keras.Model) -> dict[str, str]:
    """Return path -> reason of the variables of 2 dimensions or more that `tfopt.prune` takes by rule only.

    Args:
        model: any built model.

    Example:
        >>> tfopt.pruning.left_out(model)
        {'words': 'an embedding', 'block/positions': 'added, multiplied or put in element by element'}
    """
    graph.require_built(model)
    return {kernel.path: kernel.reason for kernel in kernels(model) if not kernel.by_default}


def _plans(
    model: keras.Model, default: Plan, rules: Mapping[str, float | None] | None
) -> list[tuple[Kernel, Plan]]:
    """Return (kernel, plan) of every kernel to prune."""
    found = kernels(model)
    if not found:
        raise InvalidArgumentError(
            f"The model {model.name!r} has no kernel to prune; layers with kernels are {KINDS}."
        )
    paths = dict.fromkeys(kernel.path for kernel in found)
    settings: dict[str, Any] = resolve(rules, paths, _DEFAULT)
    plans = []
    for kernel in found:
        setting = settings[kernel.path]
        if setting is _DEFAULT and kernel.by_default:
            plans.append((kernel, default))
        elif setting is not _DEFAULT and setting is not None:
            check_sparsity(setting, f"The sparsity that the rules give to {kernel.path!r}")
            plans.append((kernel, Plan(setting, default.schedule, "layer")))
        else:
            reason = "a rule says so" if setting is None else f"{kernel.reason}, and no rule names it"
            logger.debug("%s is left whole: %s", kernel.path, reason)
    for kernel, plan in plans:
        by = "by default" if plan is default else "by a rule"
        logger.debug("%s gets a mask: sparsity %g %s, scope %s", kernel.path, plan.sparsity, by, plan.scope)
    logger.info("%s: %d of %d kernels get a mask", model.name, len(plans), len(found))
    if not plans and default.sparsity and not rules:
        named = ", ".join(f"{kernel.path!r} ({kernel.reason})" for kernel in found[:3])
        warnings.warn(
            f"Nothing is pruned: the model {model.name!r} has no kernel that is pruned without a rule, only "
            f"{named}. To prune these, name them: rules={{{found[0].path!r}: {default.sparsity}}}.",
            stacklevel=4,
        )
    return plans


def _check_offered(name: str, value: object, offered: object, advice: str) -> None:
    if value != offered:
        raise InvalidArgumentError(f"{name}={value!r} is not offered yet: {advice}.")
