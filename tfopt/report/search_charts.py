"""The figures of a search: its front, how it grew, and what the hyperparameters do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfopt.report import formats
from tfopt.report.svg import COLORS, style, svg
from tfopt.report.trials import front_metrics, shown_metric, shown_value
from tfopt.run.search_record import SearchRecord, TrialRecord

MOST_PARAMETERS = 12
"""So many hyperparameters are drawn; with more, nothing could be read."""

_SMALL, _WIDE = (5.2, 2.9), (10.6, 3.6)
_SCALE = ("#2f7fd6", "#9a8f8a", "#d9701a")
"""From the lowest to the highest value: colours that are seen on light and on dark paper."""
_LOGARITHMIC_FROM = 100
"""How far the largest value lies above the smallest one before a linear axis hides the small ones."""
_LETTERS = 24


@dataclass(frozen=True)
class Chart:
    """One figure, ready for the page."""

    title: str
    svg: str


@dataclass(frozen=True)
class Axis:
    """Where the values of something stand on an axis.

    Attributes:
        choices: its values in order, where it has no numbers; empty where it has.
        logarithmic: whether numbers are far apart.
    """

    choices: tuple[str, ...] = ()
    logarithmic: bool = False

    @classmethod
    def of(cls, values: Sequence[Any]) -> Axis:
        """Return the axis of these values; `None` is one that is not there."""
        there = [value for value in values if value is not None]
        if not all(map(formats.is_number, there)):
            return cls(choices=tuple(sorted({str(value) for value in there})))
        return cls(logarithmic=min(there) > 0 and max(there) > _LOGARITHMIC_FROM * min(there))

    def place(self, value: Any) -> float:
        """Return the number that stands for a value."""
        if value is None:
            return float("nan")
        return float(self.choices.index(str(value)) if self.choices else value)


def first_objective(record: SearchRecord) -> str:
    """Return the metric that colours the trials and is shown over each hyperparameter."""
    return next(iter(record.goal.directions)) if record.goal else front_metrics(record)[0]


def drawn_trials(record: SearchRecord) -> list[TrialRecord]:
    """Return the trials that figures show: those that completed, with the first objective measured."""
    measured = _measured(first_objective(record))
    return [trial for trial in record.trials if trial.is_complete and measured(trial)]


def parameters(record: SearchRecord) -> list[str]:
    """Return the hyperparameters that differ between the trials that figures show."""
    trials = drawn_trials(record)
    names = dict.fromkeys(name for trial in trials for name in trial.values)
    return [name for name in names if len({str(trial.values.get(name)) for trial in trials}) > 1]


def front_charts(record: SearchRecord) -> list[Chart]:
    """Return a figure of each pair of objectives; with one objective, of this one over the trials."""
    trials = drawn_trials(record)
    names = [name for name in front_metrics(record) if any(map(_measured(name), trials))]
    if len(names) == 1:
        return [_scatter(record, trials, None, names[0])]
    return [_scatter(record, trials, x, y) for x, y in itertools.combinations(names, 2)]


def hypervolume_chart(record: SearchRecord) -> Chart | None:
    """Return how the hypervolume grew with the trials that ended; `None` where it is not known."""
    # It never falls, so its order is that in which trials ended, which that of their numbers is not where
    # several ran at once.
    grown = sorted(trial.hypervolume for trial in record.trials if trial.hypervolume is not None)
    if not grown:
        return None
    figure, axes = _figure(_SMALL)
    axes.step(range(1, len(grown) + 1), grown, where="post", color=COLORS["first"], linewidth=1.6)
    axes.plot([len(grown)], [grown[-1]], "o", color=COLORS["first"], markersize=4)
    axes.set_ylim(bottom=0)
    _whole_numbers(axes)
    style(axes, "trials that ended")
    return Chart("Hypervolume", svg(figure, "Hypervolume"))


def parallel_chart(record: SearchRecord, names: Sequence[str]) -> Chart | None:
    """Return a line for each trial through its hyperparameters to its first objective, which colours it."""
    trials, objective = drawn_trials(record), first_objective(record)
    if len(trials) < 2 or not names:
        return None
    columns = [(name, [trial.values.get(name) for trial in trials]) for name in names]
    columns.append((objective, [trial.metrics[objective] for trial in trials]))
    heights = [_heights(values) for _, values in columns]
    figure, axes = _figure(_WIDE)
    for number in range(len(trials)):
        axes.plot(
            range(len(columns)),
            [shares[number] for shares in heights],
            color=_blend(heights[-1][number]),
            linewidth=1.3,
            alpha=0.85,
            marker="o",
            markersize=2.5,
        )
    shown = [shown_value] * len(names) + [shown_metric(objective)[1]]
    for place, ((_, values), show) in enumerate(zip(columns, shown, strict=True)):
        _scale(axes, place, values, show)
    axes.set_xlim(-0.3, len(columns) - 0.5)
    axes.set_yticks([])
    style(axes)
    labels = [_short(name) for name, _ in columns]
    axes.set_xticks(range(len(columns)), labels, parse_math=False)
    title = f"Hyperparameters, coloured by {objective}"
    return Chart(title, svg(figure, title))


def importance_chart(found: Mapping[str, float], objective: str) -> Chart:
    """Return how much of an objective each hyperparameter explains."""
    shown = [*found.items()][:MOST_PARAMETERS][::-1]
    figure, axes = _figure(_SMALL)
    axes.barh(range(len(shown)), [share for _, share in shown], color=COLORS["first"], height=0.6)
    style(axes)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_ylim(len(shown) - 0.5 - max(len(shown), 6), len(shown) - 0.5)  # room for six, from the top
    axes.set_xlim(0, 1.15 * max([share for _, share in shown], default=1.0) or 1.0)
    axes.set_yticks(range(len(shown)), [_short(name) for name, _ in shown], parse_math=False)
    for place, (_, share) in enumerate(shown):
        axes.annotate(
            formats.percent(share, 1), (share, place), (4, 0), textcoords="offset points", va="center",
            color=COLORS["ink"], fontsize=8.5,
        )  # fmt: skip
    return Chart(objective, svg(figure, f"Importance for {objective}"))


def slice_charts(record: SearchRecord, names: Sequence[str]) -> list[Chart]:
    """Return a figure of the first objective over each hyperparameter."""
    trials, objective = drawn_trials(record), first_objective(record)
    return [_slice(record, trials, name, objective) for name in names] if len(trials) > 1 else []


def _slice(record: SearchRecord, trials: list[TrialRecord], name: str, objective: str) -> Chart:
    trials = [trial for trial in trials if trial.values.get(name) is not None]
    figure, axes = _figure(_SMALL)
    axis = Axis.of([trial.values[name] for trial in trials])
    _points(axes, record, trials, lambda trial: axis.place(trial.values[name]), objective)
    if axis.logarithmic:
        _logarithmic(axes.set_xscale, axes.xaxis)
    style(axes, name)
    if axis.choices:
        labels = [_short(choice) for choice in axis.choices]
        axes.set_xticks(range(len(labels)), labels, parse_math=False)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    _ticks(axes.yaxis, objective)
    return Chart(name, svg(figure, f"{objective} over {name}"))


def _scatter(record: SearchRecord, trials: list[TrialRecord], x: str | None, y: str) -> Chart:
    """Return a figure of two metrics of trials, or of one over their numbers."""
    trials = [trial for trial in trials if all(_measured(name)(trial) for name in (x, y) if name)]
    figure, axes = _figure(_SMALL)
    _points(axes, record, trials, lambda trial: float(trial.metrics[x] or 0.0 if x else trial.number), y)
    if x:
        _ticks(axes.xaxis, x)
    else:
        _whole_numbers(axes)
    _ticks(axes.yaxis, y)
    style(axes, x or "trial")
    title = f"{y} over {x}" if x else f"{y} of each trial"
    return Chart(title, svg(figure, title))


def _points(
    axes: Any, record: SearchRecord, trials: list[TrialRecord], place: Callable[[TrialRecord], float], y: str
) -> None:
    """Draw trials as points: the front filled and numbered, the best ringed, infeasible ones hollow."""
    for trial in trials:
        at = (place(trial), float(trial.metrics[y] or 0.0))
        on_front, infeasible = trial.number in record.front, trial.feasible is False
        color = COLORS["first" if on_front else "muted"]
        axes.plot(
            *at, "o", color=color, markersize=5.5 if on_front else 4, zorder=3 if on_front else 2,
            markerfacecolor="none" if infeasible else color,
        )  # fmt: skip
        if trial.number == record.best:
            axes.plot(*at, "o", color=COLORS["second"], markersize=10, markerfacecolor="none", zorder=3)
        if on_front or trial.number == record.best:
            axes.annotate(
                str(trial.number), at, (5, 4), textcoords="offset points", color=COLORS["ink"], fontsize=8
            )


def _figure(size: tuple[float, float]) -> tuple[Any, Any]:
    # `Figure` without pyplot: no global figure, no choice of backend for the host program.
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _measured(name: str) -> Callable[[TrialRecord], bool]:
    return lambda trial: formats.is_number(trial.metrics.get(name))


def _ticks(axis: Any, metric: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    show = shown_metric(metric)[1]
    axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: show(value)))


def _logarithmic(set_scale: Callable[[str], None], axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    set_scale("log")
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _whole_numbers(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))


def _heights(values: Sequence[Any]) -> list[float]:
    """Return where values stand between the lowest (0) and the highest one (1)."""
    import numpy as np

    axis = Axis.of(values)
    placed = np.array([axis.place(value) for value in values])
    placed = np.log(placed) if axis.logarithmic else placed
    low, high = np.nanmin(placed), np.nanmax(placed)
    shares: list[float] = ((placed - low) / (high - low) if high > low else placed * 0 + 0.5).tolist()
    return shares


def _scale(axes: Any, place: int, values: Sequence[Any], show: Callable[[Any], str]) -> None:
    """Draw one axis of the parallel coordinates, with its values, or with the lowest and the highest one."""
    axes.axvline(place, color=COLORS["line"], linewidth=1, zorder=0)
    there = [value for value in values if value is not None]
    choices = Axis.of(values).choices
    marks = {str(value): height for value, height in zip(values, _heights(values), strict=True)}
    if choices:
        told = [(_short(choice), marks[choice]) for choice in choices]
    else:
        told = [(show(value), marks[str(value)]) for value in dict.fromkeys([min(there), max(there)])]
    for text, height in told:
        axes.annotate(
            text, (place, height), (4, 3), textcoords="offset points", color=COLORS["muted"], fontsize=8,
            parse_math=False,
        )  # fmt: skip


def _blend(share: float) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("values", _SCALE)(share)


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 3]}..."
