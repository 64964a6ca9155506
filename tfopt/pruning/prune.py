"""`tfopt.prune`."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import keras

from tfopt import backends, graph
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import Kernel, kernels
from tfopt.pruning.assignment import assign
from tfopt.pruning.criteria import FromGradients, criterion_of
from tfopt.pruning.masks import attach, carry_masks, masked
from tfopt.pruning.on_data import Loss, OnData
from tfopt.pruning.request import Request
from tfopt.pruning.schedules import Schedule
from tfopt.pruning.update import raise_sparsity, scores_of

Setting = float | Mapping[str, Any] | None


def prune(
    model: keras.Model,
    sparsity: float | None = None,
    *,
    schedule: Schedule | None = None,
    pattern: str | None = None,
    criterion: str = "magnitude",
    distribution: Literal["uniform", "global", "erk", "sensitivity"] | None = None,
    rules: Mapping[str, Setting] | None = None,
    scope: Literal["layer", "global"] = "layer",
    data: Any = None,
    loss: Loss | None = None,
    batch_size: int = 32,
    seed: int = 0,
    engine: Literal["keras", "tfmot"] = "keras",
    engine_options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` whose least needed weights are zero and stay zero in training.

    Every kernel is pruned, at whatever depth it is: those of dense, einsum, convolution, recurrent and
    attention layers, of layers in layers and nested models, and what layers of your own made by `add_weight`
    and multiply by. Biases, normalizations and whatever has one dimension never are; depthwise kernels,
    embeddings, and variables that are added or looked up, where a rule names them (`tfopt.pruning.left_out`
    lists them). The copy holds the same layers and trains with `compile` and `fit`; its optimizer keeps the
    zeros (see `tfopt.pruning.SparsityMask`). It saves and loads as a `.keras` file, with its masks where
    Keras's own layers hold the kernels; call `tfopt.pruning.keep_zeros` after loading one with others.
    Pruning a pruned model keeps the zeros it has and adds to them.

    Without a schedule all zeros are made at once; train a little to recover the accuracy. With one,
    `fit` needs the callback that follows the schedule, and says so if it is missing:

        model = tfopt.prune(model, 0.8, schedule=tfopt.pruning.Cubic(end=0.7))
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=6, callbacks=[tfopt.callbacks.PruningSchedule()])

    Args:
        model: any built model: functional, Sequential, or subclassed and called once. It is left as it is.
        sparsity: the share of zeros, in [0, 1), of each kernel or of all together (see `distribution`).
            Counts are rounded to the nearest weight. None is 0.8, or what a pattern N:M leaves no choice of.
        schedule: how the sparsity comes about while training: `tfopt.pruning.Cubic`, `ConstantSparsity`,
            `OneShot` or `RigL`.
        pattern: where zeros may stand: None or `"unstructured"` for single weights; `"n:m"`, such as
            `"2:4"`, for at most n that are not zero in every m; `"rows x columns"` for blocks, such as
            `"1x4"`. Both count along the inputs of one output, as the runtime reads a kernel.
        criterion: what says which weights go: `"magnitude"`; `"random"`; `"snip"`, once on data;
            `"taylor"`, once on data or while training along a schedule; `"movement"`, while training.
        distribution: how the sparsity is divided among kernels: `"uniform"`, the same in each; `"global"`,
            the lowest scores of the whole model, so that layers may lose all their weights; `"erk"`, more
            weights for small kernels; `"sensitivity"`, by how much the loss on data rises.
        rules: layer path pattern -> sparsity, or `{"sparsity": ..., "pattern": ...}`, or None for a layer
            that is left as it is; the first match wins. A layer that a rule gives a sparsity is pruned by
            itself, whatever the distribution. Paths go into layers: `"mha/query"`,
            `"lstm/recurrent_kernel"`, `"block/dense"`.
        scope: `"layer"` or `"global"`, the older name of the distributions `"uniform"` and `"global"`.
        data: for what is measured before training, `"snip"`, `"taylor"`, `"sensitivity"`: `(x, y)` or a
            `tfopt.data.Dataset` (its training split), of which all samples are used, or a `tf.data.Dataset`,
            `keras.utils.PyDataset` or generator of batches `(x, y)`, of which the first 512 are.
        loss: of labels and outputs, as `compile` takes it; by default that of the compiled model.
        batch_size: samples at once, 1 or more.
        seed: of the criterion `"random"`, 0 or more.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, run and trained by Keras 3: train
            the model that is returned, then call `tfopt.tfmot.strip` on it.
        engine_options: of `prune_low_magnitude`, for that engine: see `tfopt.tfmot.prune`.

    Raises:
        InvalidArgumentError: an argument is out of range, two do not go together, a rule is of no use, there
            is no kernel, or the model is quantization-aware.
        DataError: the data has fewer samples than a batch, or values that are not finite.
        UnsupportedModel: the model is subclassed and has not been called.
    """
    tfmot = backends.other(
        "prune",
        engine,
        engine_options,
        scope=(scope, "layer"),
        pattern=(pattern, None),
        criterion=(criterion, "magnitude"),
        distribution=(distribution, None),
    )
    if tfmot is not None:
        given = 0.8 if sparsity is None else sparsity
        return tfmot.prune(model, given, schedule=schedule, rules=rules, options=engine_options)
    request = Request(
        sparsity=sparsity,
        schedule=schedule,
        pattern=pattern,
        criterion=criterion,
        distribution=distribution,
        scope=scope,
        rules=rules,
        seed=seed,
    )
    pruned, taken = pruned_copy(model, request, data=data, loss=loss, batch_size=batch_size)
    _warn_of_files(taken)
    return pruned


def pruned_copy(
    model: keras.Model,
    request: Request,
    *,
    data: Any = None,
    loss: Loss | None = None,
    batch_size: int = 32,
    progress: float = 1.0,
) -> tuple[keras.Model, list[Kernel]]:
    """Return a pruned copy, and the kernels that were taken.

    Args:
        model, data, loss, batch_size: see `prune`.
        request: its other arguments.
        progress: how much of the way is gone, in [0, 1]: at a half, the share of weights that is left is the
            square root of that in the end; at 0 the masks are there and hold no zero.
    """
    graph.require_tensorflow("prune")
    graph.require_built(model)
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware already, and masks are chosen by float weights: "
            "prune the float model, then call tfopt.quantize_aware, which keeps its zeros."
        )
    with model.distribute_strategy.scope():
        pruned = graph.copy(model)
        carry_masks(model, pruned)
        for entry in masked(pruned):
            entry.mask.plan = None
        why = request.reason_for_data
        on_data = None
        if why is not None:
            on_data = OnData(pruned, data, loss=loss, compiled=model, batch_size=batch_size, why=why)
        assigned = assign(pruned, request, on_data)
        if progress < 1:
            assigned = [
                (kernel, dataclasses.replace(plan, sparsity=1 - (1 - plan.sparsity) ** progress))
                for kernel, plan in assigned
            ]
        entries = [(attach(kernel, plan), plan) for kernel, plan in assigned]
        initial = [plan.initial_sparsity for _, plan in entries]
        if any(initial):
            criterion = criterion_of(request.criterion)
            if isinstance(criterion, FromGradients):
                assert on_data is not None, "asked for by the request"
                scores = on_data.scores(criterion, [entry.kernel.variable for entry, _ in entries])
            else:
                scores = scores_of(entries)
            raise_sparsity(entries, initial, scores=scores)
    return pruned, [entry.kernel for entry, _ in entries]


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


def _warn_of_files(taken: list[Kernel]) -> None:
    lost = [kernel.path for kernel in taken if not kernel.saved]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        warnings.warn(
            f"A .keras file of this model does not hold the masks of {', '.join(map(repr, lost[:3]))}{more}: "
            "no config has a place for them, in layers of your own, or next to the kernels that Keras knows "
            "constraints for. To train the loaded model further with its zeros, call "
            "tfopt.pruning.keep_zeros(model) before you compile it.",
            stacklevel=3,
        )
