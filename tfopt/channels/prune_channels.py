"""`tfopt.prune_channels`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfopt import graph
from tfopt.channels.planning.decide import decide
from tfopt.channels.planning.settings import ChannelSettings, Limit, Method, Normalization, Scope
from tfopt.channels.planning.speed import warn_unless_faster


def prune_channels(
    model: keras.Model,
    ratio: float | None = None,
    *,
    macs: Limit = None,
    params: Limit = None,
    bytes: Limit = None,
    latency: Limit = None,
    scheme: str = "float32",
    importance: str = "l2",
    normalization: Normalization = "mean",
    scope: Scope = "global",
    allocation: Method = "global",
    rules: Mapping[str, float | None] | None = None,
    round_to: int | None = 8,
    min_share: float = 0.1,
    data: Any = None,
    loss: Any = None,
    batch_size: int = 32,
    seed: int = 0,
    dry_run: bool = False,
) -> Any:
    """Return a smaller model: `model` without the channels that it needs least.

    Channels of convolutions, units of dense and recurrent layers and heads of attention are removed for good,
    with all that belongs to them: rows of the kernels that read them, normalizations, and the same channels
    of all layers that are added to them. The result is a plain Keras model with the weights that are left; it
    saves and loads without tfopt, is not compiled, and is to be trained on: what is gone is missed at first.

    Where at most a quarter of the multiply-accumulates is removed and no budget limits the latency, the file
    of what is left is measured beside the original's, and a warning says so if it is not faster.

    Args:
        model: any built float model. It is left as it is.
        ratio: the share of the channels to remove, in (0, 1). Of a channel goes what makes it and what reads
            it, so that at 0.5 about a quarter of the arithmetic and of the weights is left.
        macs, params: budgets in place of `ratio`: the multiply-accumulates for one sample and the weights
            that may be left. A number in (0, 1] is a share of what the model has, a larger one is how many;
            as text `"5M"` or `"50%"`. Several budgets hold together.
        bytes, latency: budgets too: what the file of the smaller model may have and take at most, as shares
            or as `"100k"` and `"1.5ms"` (one thread of this machine). Files are written and run until one
            meets them.
        scheme: in which the file will be written, such as `"int8"`.
        importance: which channels are needed least: those of the smallest weights (`"l2"`, `"l1"`), those
            that batch normalizations scale down (`"batch_norm"`), those without which the loss changes
            least, to first order (`"taylor"`; needs data and a loss), those of small or rare activations
            (`"activation"`, `"nonzero"`; need data), those that the others can make up for
            (`"geometric_median"`), or any (`"random"`). The papers are in `tfopt.channels.importance`.
        normalization: what the scores of a group are divided by before groups are compared: their `"mean"`,
            their `"max"`, or `"none"`.
        scope: `"global"` compares all channels of the model, so that layers keep different shares;
            `"local"` takes the same share of each group.
        allocation: how a budget is met: `"global"` removes the lowest scores, `"uniform"` (or the scope
            `"local"`) the same share of each group, `"sensitivity"` solves an integer program for the
            widths at which the loss on `data` rises least; without data, that lose the least importance.
        rules: layer path pattern -> the share of its channels to remove (under a budget: at most), in [0, 1),
            or None to leave them; the first match wins. Layers whose channels are added to each other go
            together.
        round_to: the widths that are left are multiples of this, for runtimes compute channels in tiles; in
            narrow groups of half of it, and so on. 1 or None for any width.
        min_share: the share of its channels that each group keeps at least, in (0, 1].
        data: `(x, y)`, inputs alone, or a `tfopt.data.Dataset` (its training split), for criteria that look
            at samples, for the allocation `"sensitivity"`, and for the ranges of int8 files. At most 512
            samples are taken, spread evenly. Or a `tf.data.Dataset`, `keras.utils.PyDataset` or generator of
            batches: the first 512 samples.
        loss: as `compile` takes it; by default that of the compiled model.
        batch_size: samples at a time, 1 or more.
        seed: of `importance="random"`, 0 or more.
        dry_run: whether to return the plan and remove nothing.

    Returns:
        The smaller model, or with `dry_run` the `tfopt.channels.ChannelPlan`, which prints as a table.

    Raises:
        InvalidArgumentError: an argument is out of its range, there is no goal, nothing can be removed (the
            message says why), a rule matches nothing, data is missing, or the model is quantization-aware.
        GoalError: a budget cannot be met; the message says what can be reached.
        DataError: fewer samples than a batch, or values that are not finite.
        UnsupportedModel: the model is subclassed and its code cannot be read.

    Example:
        >>> smaller = tfopt.prune_channels(model, macs=0.5, rules={"stem": None})
        >>> print(tfopt.prune_channels(model, 0.5, dry_run=True).table())
    """
    settings = ChannelSettings(
        ratio=ratio,
        macs=macs,
        params=params,
        bytes=bytes,
        latency=latency,
        scheme=scheme,
        importance=importance,
        normalization=normalization,
        scope=scope,
        allocation=allocation,
        rules=rules,
        round_to=round_to,
        min_share=min_share,
        seed=seed,
    )
    graph.require_tensorflow("prune_channels")
    plan = decide(model, settings, data=data, loss=loss, batch_size=batch_size)
    warn_unless_faster(plan, settings.scheme)
    if dry_run:
        return plan
    with model.distribute_strategy.scope():
        return plan.apply()
