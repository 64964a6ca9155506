"""`tfopt.prune`, `tfopt.quantize_aware` and `tfopt.cluster` with `engine="tfmot"`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from tfopt import _validation, graph
from tfopt import rules as rules_
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import KINDS, kernels
from tfopt.pruning.masks import masked
from tfopt.pruning.schedules import Cubic, check_sparsity
from tfopt.quantization.qat.preserve import checked
from tfopt.quantization.scheme import SCHEMES
from tfopt.tfmot import clustering, pruning, quantization, schedules
from tfopt.tfmot.bridge import bridge_of, bridged

_DEFAULT: Any = object()

_PRUNING = ("pruning_schedule", "block_size", "block_pooling_type", "sparsity_m_by_n")
_QUANTIZING = ("scheme", "quantized_layer_name_prefix")
_PRESERVING = {
    frozenset(): "default_8bit",
    frozenset({"sparsity"}): "preserve_sparsity",
    frozenset({"clusters"}): "preserve_cluster",
    frozenset({"sparsity", "clusters"}): "preserve_cluster_and_sparsity",
}
"""What is preserved -> the scheme of tensorflow-model-optimization that does."""

_CLUSTERING = ("cluster_centroids_init", "preserve_sparsity", "cluster_per_channel")


def prune(
    model: keras.Model,
    sparsity: float = 0.8,
    *,
    schedule: Cubic | None = None,
    rules: Mapping[str, float | None] | None = None,
    options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a Keras 3 model that runs `model` wrapped by `prune_low_magnitude`.

    Train it as any other; with a schedule the callback `tfopt.callbacks.PruningSchedule` is needed. Then
    `tfopt.tfmot.strip` returns the Keras 3 model, its zeros exact and held by masks.

    The engine prunes what `tfopt.prune` prunes, as far as it can, and the kernels of recurrent layers.
    Depthwise kernels it leaves alone.

    Args:
        model: a functional or Sequential model. It is left as it is.
        sparsity: the share of zeros of each kernel, in [0, 1).
        schedule: how the sparsity rises while training; without one all zeros are made at once.
        rules: layer path pattern -> sparsity, or None for a layer that is left as it is.
        options: of `prune_low_magnitude`: `pruning_schedule`, in place of `sparsity` and `schedule`;
            `block_size`; `block_pooling_type`; `sparsity_m_by_n`, such as (2, 4), which knows no schedule.

    Raises:
        InvalidArgumentError: an argument or option is out of range or unknown, or there is no kernel.
        UnsupportedModel: the model is subclassed.
        UnsupportedOperation: a layer that the engine does not prune was asked for.
    """
    check_sparsity(sparsity)
    options = _known(options, _PRUNING)
    graph.require_functional(model)
    own = options.pop("pruning_schedule", None)
    if own is not None and schedule is not None:
        raise InvalidArgumentError("Give schedule, or pruning_schedule among the engine_options, not both.")
    if schedule is not None and not isinstance(schedule, Cubic):
        raise InvalidArgumentError(f"schedule must be a tfopt.pruning.Cubic or None, got {schedule!r}.")
    if schedule is not None and options.get("sparsity_m_by_n"):
        raise InvalidArgumentError("sparsity_m_by_n makes all zeros at once: leave schedule out.")

    settings, named = _settings(model, rules, sparsity)
    for path, setting in settings.items():
        check_sparsity(setting, f"The sparsity that the rules give to {path!r}")
    options = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    result = bridged(
        model,
        "prune",
        {
            "layers": {path: _schedule_of(share, schedule, own) for path, share in settings.items()},
            "named": named,
            "ours": sorted(_owners(model)),
            "wrapper": options,
            "scheduled": schedule is not None,
        },
    )
    if own is None and schedule is None:
        with model.distribute_strategy.scope():
            pruning.prune_now(_module(result))
    return result


def quantize_aware(
    model: keras.Model,
    scheme: Any = "int8",
    *,
    rules: Mapping[str, Any] | None = None,
    preserve: str | Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a Keras 3 model that runs `model` wrapped by `quantize_apply`.

    Its ranges are a guess of +-6 at first: `tfopt.quantization.calibrate` fills them. `tfopt.to_tflite`
    writes it.
    Masks of kernels that were pruned before keep their zeros in training.

    Args:
        model: a functional or Sequential model; nested ones are flattened. It is left as it is.
        scheme: `"int8"`.
        rules: layer path pattern -> `"int8"`, or None for a layer that stays in float.
        preserve: `"sparsity"`, `"clusters"` or both: the engine's own ways to keep what kernels have.
        options: `scheme`, in place of `preserve`: `"default_8bit"`, `"preserve_sparsity"`,
            `"preserve_cluster"` or `"preserve_cluster_and_sparsity"`; `quantized_layer_name_prefix`.

    Raises:
        InvalidArgumentError: an argument or option is unknown.
        UnsupportedModel: the model is subclassed.
        UnsupportedOperation: the engine does not quantize a layer.
    """
    for value in (scheme, *(rules or {}).values()):
        if value is not None and value not in ("int8", SCHEMES["int8"]):
            raise InvalidArgumentError(
                f'engine="tfmot" knows the scheme "int8" alone, got {value!r}: leave it, or use '
                'engine="keras".'
            )
    options = _known(options, _QUANTIZING)
    kept = frozenset(checked("quantize_aware", preserve))
    name = options.pop("scheme", _PRESERVING[kept])
    if kept and name != _PRESERVING[kept]:
        raise InvalidArgumentError("Give preserve, or scheme among the engine_options, not both.")
    _validation.choice("engine_options", "scheme", name, quantization.LIBRARY_SCHEMES)
    graph.require_functional(model)
    paths = list(dict.fromkeys(node.path for node in graph.nodes(model)))
    chosen = rules_.resolve(rules, paths, _DEFAULT)
    return bridged(
        model,
        "quantize",
        {"scheme": name, "float": [p for p in paths if chosen[p] is None], "arguments": options},
    )


def cluster(
    model: keras.Model,
    clusters: int = 16,
    *,
    rules: Mapping[str, int | None] | None = None,
    options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a Keras 3 model that runs `model` wrapped by `cluster_weights`.

    Train it as any other; then `tfopt.tfmot.strip` returns the Keras 3 model, each kernel with that many
    different weights at most.

    Args:
        model: a functional or Sequential model. It is left as it is.
        clusters: different weights a kernel, 2 or more.
        rules: layer path pattern -> clusters, or None for a layer that is left as it is.
        options: of `cluster_weights`: `cluster_centroids_init`, the name of a `CentroidInitialization` such
            as `"LINEAR"`; `preserve_sparsity`, by default where `model` was pruned by tfopt;
            `cluster_per_channel`.

    Raises:
        InvalidArgumentError: an argument or option is out of range or unknown, or there is no kernel.
        UnsupportedModel: the model is subclassed.
        UnsupportedOperation: a layer that the engine does not cluster was asked for.
    """
    options = _known(options, _CLUSTERING)
    initialization = options.get("cluster_centroids_init")
    if initialization is not None:
        options["cluster_centroids_init"] = str(getattr(initialization, "name", initialization))
        clustering.initialization(options["cluster_centroids_init"])
    if masked(model):
        options.setdefault("preserve_sparsity", True)
    least = 3 if options.get("preserve_sparsity") else 2
    graph.require_functional(model)
    settings, named = _settings(model, rules, clusters)
    for count in (clusters, *settings.values()):
        _validation.whole("cluster", "clusters", count, at_least=least)
    return bridged(model, "cluster", {"layers": settings, "named": named, "wrapper": options})


def _schedule_of(share: float, schedule: Cubic | None, own: Any) -> dict[str, Any]:
    """Return how the sparsity of a layer rises to `share`, as JSON.

    Args:
        share: of zeros in the end.
        schedule: while training; without one all zeros are made at once.
        own: a schedule of tensorflow-model-optimization, in place of both.
    """
    if own is not None:
        return schedules.to_json(own)
    if schedule is not None:
        return schedules.to_json(schedules.CubicSchedule(schedule, share))
    # Ends where it begins, for the masks are to stay.
    config = {"target_sparsity": share, "begin_step": 0, "end_step": 0, "frequency": 1}
    return {"class_name": "ConstantSparsity", "config": config}


def _settings(
    model: keras.Model, rules: Mapping[str, Any] | None, default: Any
) -> tuple[dict[str, Any], list[str]]:
    """Return path -> setting of the layers to wrap, and the paths that rules named."""
    layers = [(path, layer) for path, layer in graph.layers(model) if layer.weights]
    by_default = {kernel.path for kernel in kernels(model) if kernel.by_default}
    by_default |= {path for path, layer in layers if isinstance(layer, keras.layers.RNN)}
    chosen = rules_.resolve(rules, [path for path, _ in layers], _DEFAULT)
    named = [path for path, setting in chosen.items() if setting is not _DEFAULT and setting is not None]
    settings = {
        path: default if setting is _DEFAULT else setting
        for path, setting in chosen.items()
        if path in named or (setting is _DEFAULT and path in by_default)
    }
    if not settings:
        raise InvalidArgumentError(
            f"The model {model.name!r} has no kernel left to work on; layers with kernels are {KINDS}."
        )
    return settings, named


def _owners(model: keras.Model) -> set[str]:
    """Return the paths of what tfopt's own engine prunes something in."""
    parts = [kernel.path.split("/") for kernel in kernels(model)]
    return {"/".join(path[:end]) for path in parts for end in range(1, len(path) + 1)}


def _known(options: Mapping[str, Any] | None, names: Iterable[str]) -> dict[str, Any]:
    unknown = [name for name in options or {} if name not in names]
    if unknown:
        raise InvalidArgumentError(
            f'engine="tfmot" has no option {", ".join(map(repr, unknown))}; engine_options can be '
            f"{', '.join(names)}."
        )
    return {**(options or {})}


def _module(model: keras.Model) -> Any:
    bridge = bridge_of(model)
    assert bridge is not None
    return bridge.module
