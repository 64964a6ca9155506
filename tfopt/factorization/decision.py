"""Which option each layer of a model gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfopt import graph
from tfopt.data.representative import Representative
from tfopt.errors import InvalidArgumentError
from tfopt.factorization.budget import BudgetedRanks
from tfopt.factorization.build import built
from tfopt.factorization.candidates import candidates
from tfopt.factorization.options import EXTRA_LAYER_BYTES, Option, Options
from tfopt.factorization.plan import LayerRanks, LowRankPlan
from tfopt.factorization.sensitivity import measured_losses
from tfopt.factorization.targets import Setting, Target, by_rule
from tfopt.measure.arithmetic import known_macs
from tfopt.rules import resolve, wholes

_DEFAULT: Any = object()
_MEASURED_OPTIONS = 5
"""The options of a layer whose losses are measured on data: each is a run of the model."""


class Decision:
    """The option of each layer of a model.

    Args:
        model: functional.
        method: of convolutions with more than one tap.
        rules: as `tfopt.low_rank` takes them.

    Raises:
        InvalidArgumentError: the model has no layer to factorize, or a rule does not fit.
    """

    def __init__(self, model: keras.Model, method: str, rules: Mapping[str, Setting] | None) -> None:
        self._model = model
        found, self._others = candidates(model, method)
        if not found:
            named = "; ".join(f"{path!r}: {reason}" for path, reason in [*self._others.items()][:3])
            raise InvalidArgumentError(
                f"The model {model.name!r} has no layer to factorize: no Dense, EinsumDense or convolution"
                f"{f' but {named}' if named else ''}."
            )
        self._options = {candidate.path: Options(candidate) for candidate in found}
        self._chosen: dict[str, Option] = {}
        self._reasons: dict[str, str] = {}
        settings: dict[str, Any] = resolve(rules, self._options, _DEFAULT)
        for path, setting in settings.items():
            if setting is None:
                self._leave(path, "a rule says so")
            elif setting is not _DEFAULT:
                self._take(path, by_rule(setting, self._options[path]))

    def choose(self, target: Target, scheme: str, data: Representative | None) -> None:
        """Choose the options of the layers without a rule; arguments as `tfopt.low_rank` takes them."""
        free = {path: options for path, options in self._options.items() if path not in self._chosen}
        if not target.budgets:
            for path, options in free.items():
                self._take(path, target.option(options))
            return
        most = None if data is None else _MEASURED_OPTIONS
        frontiers = {path: options.frontier(most) for path, options in free.items()}
        losses = {path: [option.loss for option in each] for path, each in frontiers.items()}
        if data is not None:
            tables = measured_losses(self._model, [*free.values()], [*frontiers.values()], data)
            losses = dict(zip(free, tables, strict=True))
        search = BudgetedRanks(
            self._model, [*self._options.values()], target.budgets, scheme, data, self._of_choice
        )
        choice = search.chosen(
            [frontiers.get(path, [self._chosen.get(path)]) for path in self._options],  # type: ignore[list-item]
            [losses.get(path, [0.0]) for path in self._options],
        )
        for (path, options), option in zip(self._options.items(), choice, strict=True):
            if path in free and option.ranks is None:
                gains = len(frontiers[path]) > 1
                self._leave(path, "the budget is met without it" if gains else _no_gain(options))
            elif path in free:
                self._chosen[path] = option

    def ranks(self) -> dict[str, Sequence[int] | None]:
        """Return path -> ranks of each layer that can be factorized, None where it is left alone."""
        return {path: option.ranks for path, option in self._chosen.items()}

    def take_ranks(self, ranks: Mapping[str, Sequence[int] | None]) -> None:
        """Give layers what an earlier decision gave them."""
        for path, each in ranks.items():
            if each is not None:
                self._chosen[path] = self._options[path].of(tuple(each))
            elif path not in self._reasons:
                self._leave(path, "chosen before")

    def plan(self) -> LowRankPlan:
        """Return what is decided, as data."""
        layers = {path: self._layer(path, options) for path, options in self._options.items()}
        kinds = {path: type(layer).__name__ for path, layer in graph.layers(self._model)}
        others = {
            path: LayerRanks(path=path, kind=kinds.get(path, ""), reason=reason)
            for path, reason in self._others.items()
        }
        pairs = [
            (options.whole, self._chosen[path])
            for path, options in self._options.items()
            if self._chosen[path].ranks is not None
        ]
        params = self._model.count_params()
        macs = None
        sized = all(options.candidate.sized for options in self._options.values())
        if sized and (before := known_macs(self._model)) is not None:
            macs = (before, before + sum(after.macs - whole.macs for whole, after in pairs))
        together = layers | others
        places = {node.path: number for number, node in reversed([*enumerate(graph.nodes(self._model))])}
        order = {path: min(places.get(each, len(places)) for each in wholes(path)) for path in together}
        return LowRankPlan(
            layers=tuple(together[path] for path in sorted(together, key=order.__getitem__)),
            macs=macs,
            params=(params, params + sum(after.weights - whole.weights for whole, after in pairs)),
        )

    def built(self) -> keras.Model:
        """Return the model."""
        return self._of_choice([self._chosen[path] for path in self._options])

    def _of_choice(self, choice: Sequence[Option]) -> keras.Model:
        return built(
            self._model,
            {
                path: options.candidate.factorization.factors(option.ranks)
                for (path, options), option in zip(self._options.items(), choice, strict=True)
                if option.ranks is not None
            },
        )

    def _take(self, path: str, option: Option) -> None:
        """Give a layer an option, or leave it alone where that gains nothing."""
        options = self._options[path]
        if options.gains(option):
            self._chosen[path] = option
        else:
            self._leave(path, _no_gain(options, option))

    def _leave(self, path: str, reason: str) -> None:
        self._chosen[path], self._reasons[path] = self._options[path].whole, reason

    def _layer(self, path: str, options: Options) -> LayerRanks:
        candidate, option = options.candidate, self._chosen[path]
        factorization, whole = candidate.factorization, options.whole
        return LayerRanks(
            path=path,
            kind=type(candidate.layer).__name__,
            method=factorization.method,
            full=factorization.full,
            ranks=option.ranks,
            macs=(whole.macs, option.macs) if candidate.sized else None,
            weights=(whole.weights, option.weights),
            error=factorization.error(option.ranks) if option.ranks is not None else 0.0,
            reason=self._reasons.get(path, ""),
        )


def _no_gain(options: Options, option: Option | None = None) -> str:
    """Return why a layer is left alone that may be factorized."""
    if option is None:
        return "no rank makes its file smaller and faster"
    whole = options.whole
    ranks = ", ".join(map(str, option.ranks or ()))
    return (
        f"no gain: with rank {ranks} it has {option.macs / whole.macs:.2f} of the MACs and "
        f"{option.weights / whole.weights:.2f} of the weights, in {option.extra_layers + 1} layers, of "
        f"which each more takes up to {EXTRA_LAYER_BYTES} bytes of a file"
    )
