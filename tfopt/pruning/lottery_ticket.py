"""The lottery ticket: train, prune, put the weights that are left back to early values, train again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.pruning.masks import apply_masks
from tfopt.pruning.on_data import Loss
from tfopt.pruning.prune import Setting, pruned_copy
from tfopt.pruning.request import Request

logger = logging.getLogger(__name__)


def rewind(model: keras.Model, early: keras.Model | Sequence[np.ndarray]) -> None:
    """Give a pruned model the weights that it had early in training; what is pruned stays zero.

    Args:
        model: pruned; changed in place. Compile it again before you train it, for a new optimizer state.
        early: the model as it was, or its `get_weights()`.

    Raises:
        InvalidArgumentError: `early` is of another model.
    """
    weights = early.get_weights() if isinstance(early, keras.Model) else list(early)
    expected = [tuple(variable.shape) for variable in model.weights]
    if expected != [np.shape(array) for array in weights]:
        raise InvalidArgumentError(
            f"rewind: expected the {len(expected)} weights of {model.name!r} as they were early in training "
            f"(model.get_weights()), got {len(weights)} of other shapes."
        )
    model.set_weights(weights)
    apply_masks(model)


def lottery_ticket(
    model: keras.Model,
    train: Callable[[keras.Model], object],
    sparsity: float | None = None,
    *,
    rounds: int = 3,
    early: Sequence[np.ndarray] | None = None,
    pattern: str | None = None,
    criterion: Literal["magnitude", "random", "taylor", "snip"] = "magnitude",
    distribution: Literal["uniform", "global", "erk", "sensitivity"] | None = None,
    rules: Mapping[str, Setting] | None = None,
    data: Any = None,
    loss: Loss | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> keras.Model:
    """Return a pruned copy of `model`, trained from its early weights.

    Each round trains the model, prunes the weights that are left by the same share, and rewinds: the others
    get their early values back. After the last one the model is trained once more. "The lottery ticket
    hypothesis" (Frankle and Carbin, 2019, arXiv 1803.03635); with early values from a little way into the
    training, "Linear mode connectivity" (Frankle et al., 2020, arXiv 1912.05671), which larger models need.

    Args:
        model: built, with its weights at the beginning of training. It is left as it is.
        train: compiles a model and trains it in place. It is called `rounds` + 1 times, with models of the
            same structure.
        sparsity: the share of zeros in the end, as in `tfopt.prune`.
        rounds: how often to prune, 1 or more.
        early: what weights go back to; by default those that `model` has.
        pattern, criterion, distribution, rules, data, loss, batch_size, seed: as in `tfopt.prune`. What is
            measured on data is measured after training, in each round.

    Raises:
        InvalidArgumentError, DataError, UnsupportedModel: as `tfopt.prune`; `early` is of another model.
    """
    request = Request(
        sparsity=sparsity,
        pattern=pattern,
        criterion=criterion,
        distribution=distribution,
        rules=rules,
        seed=seed,
    )
    _validation.whole("lottery_ticket", "rounds", rounds, at_least=1)
    early = model.get_weights() if early is None else early
    # As the masks of the last round are to be, but all alive yet: what is wrong is told before any training.
    ticket, _ = pruned_copy(model, request, data=data, loss=loss, batch_size=batch_size, progress=0.0)
    rewind(ticket, early)
    for number in range(1, rounds + 1):
        train(ticket)
        ticket, _ = pruned_copy(
            ticket, request, data=data, loss=loss, batch_size=batch_size, progress=number / rounds
        )
        rewind(ticket, early)
        logger.info("Round %d of %d: pruned and rewound", number, rounds)
    train(ticket)
    return ticket
