"""`tfopt.low_rank`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence

import keras

from tfopt import _validation, graph
from tfopt.budgets import Budgets
from tfopt.data.representative import MAX_SAMPLES, Representative
from tfopt.data.sample_formats import repeatable
from tfopt.errors import InvalidArgumentError
from tfopt.export.untrained import check_scheme
from tfopt.factorization.candidates import KINDS, METHODS, Method
from tfopt.factorization.decision import Decision
from tfopt.factorization.plan import LowRankPlan
from tfopt.factorization.targets import OWNER, Setting, Target, check_rules

logger = logging.getLogger(__name__)


def low_rank(
    model: keras.Model,
    ratio: float | None = None,
    *,
    energy: float | None = None,
    rank: int | None = None,
    macs: float | str | None = None,
    params: float | str | None = None,
    bytes: float | str | None = None,
    latency: float | str | None = None,
    rules: Mapping[str, Setting] | None = None,
    method: Method = "tucker",
    scheme: str = "float32",
    data: Representative | None = None,
    dry_run: bool = False,
) -> keras.Model | LowRankPlan:
    """Return a copy of `model` in which kernels are products of smaller ones: fewer weights, less to compute.

    A dense layer, an EinsumDense and a 1x1 convolution become two by the singular value decomposition, a
    larger convolution becomes a 1x1, a small one of its size and a 1x1 (Tucker-2), or what `method` says. The
    copy has layers of Keras alone: it saves, loads without tfopt, trains, and is quantized and pruned like
    any other. The last factor has the layer's name, bias and activation; those before it are called
    `conv_factor1`, `conv_factor2`. Regularizers of the kernel hold for each factor. Train the copy for some
    epochs to recover the accuracy.

    A layer is left alone, and the plan says why, where its file would not become smaller and faster: where
    the factors have as many weights or multiply-accumulates as the kernel. Wide ranks are multiples of 8.

    Args:
        model: any built model, in float. It is left as it is; nested models are flattened, their layers
            called `block.conv`. So are layers of your own that hold layers to factorize, and subclassed
            models: their code is read as `tfopt.quantize_aware` reads it.
        ratio: the share of the full rank that each layer keeps, in (0, 1].
        energy: the share of the squared norm of each kernel that is kept, in (0, 1]. The default is 0.95:
            a squared error of 5 %. Of the ranks that keep it, those with the least to compute are taken.
        rank: the same rank for each layer, 1 or more, at most its full one.
        macs, params, bytes, latency: budgets of the whole model, in place of these, as
            `tfopt.budgets.Budgets` takes them: numbers up to 1 are shares of the original, `"100k"` or
            `"1.5ms"` absolute. An integer program chooses the rank of each layer so that the losses add up to
            the least. Bytes and latency are those of the file in `scheme`, which is written and measured.
        rules: layer path pattern -> None to leave a layer alone, a float for the share of its energy, an int
            for its rank, two ints for the ranks of the input and output channels of Tucker-2. First match
            wins.
        method: of convolutions with more than one tap: `"tucker"`; `"spatial"`, a column and a row; `"svd"`,
            a convolution to few channels and a 1x1 convolution.
        scheme: of the file that `bytes` and `latency` are about, a name that `to_tflite` takes.
        data: samples of the inputs, 50 or so. With budgets, losses are then measured: how much the outputs
            change with each layer's ranks. Without it the product of the energies that kernels keep is
            made the largest.
        dry_run: whether to return the plan and no model.

    Returns:
        A functional model, or a `LowRankPlan`, which prints as a table.

    Raises:
        InvalidArgumentError: an argument is out of its range, a rule matches nothing, the model is
            quantization-aware, has no layer to factorize, or a kernel with NaN.
        UnsupportedModel: the model is subclassed and has not been called, or its code cannot be read.
        GoalError: the budgets cannot be met.

    Example:
        >>> print(tfopt.low_rank(model, energy=0.9, dry_run=True))
        >>> small = tfopt.low_rank(model, macs=0.5, data=x_train[:64])

    Reference:
        Kim et al., 2016, Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
        Applications (arXiv 1511.06530). Jaderberg et al., 2014 (arXiv 1405.3866): `"spatial"`. Zhang et al.,
        2016 (arXiv 1505.06798): `"svd"`. Ranks by an integer program: as Shen et al., 2022 (arXiv 2210.06659)
        choose channels.
    """
    _validation.choice(OWNER, "method", method, METHODS)
    _validation.flag(OWNER, "dry_run", dry_run)
    check_scheme(scheme)
    check_rules(rules)
    budgets = Budgets(macs=macs, params=params, bytes=bytes, latency=latency)
    target = Target(ratio=ratio, energy=energy, rank=rank, budgets=budgets)
    decision = decided(model, target, rules=rules, method=method, scheme=scheme, data=data)
    plan = decision.plan()
    if dry_run:
        return plan
    if not plan.factorized:
        warnings.warn(
            f"Nothing is factorized: no layer of {model.name!r} would become smaller and faster. "
            "low_rank(..., dry_run=True) returns the table that says why.",
            UserWarning,
            stacklevel=2,
        )
    return decision.built()


def decided(
    model: keras.Model,
    target: Target,
    *,
    rules: Mapping[str, Setting] | None,
    method: Method,
    scheme: str,
    data: Representative | None,
    chosen: Mapping[str, Sequence[int] | None] | None = None,
) -> Decision:
    """Return what is decided about a model.

    Args:
        model: built, in float.
        target: of the layers without a rule.
        rules, method, scheme, data: as `low_rank` takes them.
        chosen: what `Decision.ranks` returned for the same model and arguments; nothing is searched then.
    """
    graph.require_tensorflow("low_rank")
    graph.require_built(model)
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware: factors are made of float kernels. Call "
            "low_rank on the float model, then quantize_aware on what it returns."
        )
    with model.distribute_strategy.scope():
        if not graph.is_functional(model):  # whose layers need not take symbolic tensors
            model = graph.with_own_layers_decomposed(model)
        elif any(map(_is_decomposed, graph.inner_layers(model))):
            model = graph.with_own_layers_decomposed(model, _is_decomposed)
    decision = Decision(model, method, rules)
    if chosen is None:
        decision.choose(target, scheme, repeatable(data, MAX_SAMPLES))
    else:
        decision.take_ranks(chosen)
    for layer in decision.plan().layers:
        told = f"ranks {layer.ranks} of {layer.full}" if layer.ranks else f"left alone: {layer.reason}"
        logger.info("%s: %s", layer.path, told)
    return decision


def _is_decomposed(layer: keras.Layer) -> bool:
    """Return whether a layer of the user's own is made of others of which one can be factorized."""
    return graph.has_code(layer) and any(type(each) in KINDS for each in graph.inner_layers(layer))
