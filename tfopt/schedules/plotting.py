"""Pictures of schedules."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tfopt import _validation, files
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments, nested

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind can tell apart, without the yellow, and darker.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#b0578d", "#b8860b", "#3a8fb7", "#444444")
_INK, _MUTED, _GRID = "#222222", "#707070", "#e4e4e4"
_POINTS = 2000


def plot(
    schedules: Any,
    steps: int,
    path: str | os.PathLike[str] | None = None,
    *,
    columns: int | None = None,
    log_scale: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the rates of schedules over the updates.

    The figure is drawn without pyplot: no window, no global figure, no choice of backend.

    Args:
        schedules: a `LearningRateSchedule`, of tfopt or of Keras; several in a list; or a dictionary from
            what the legend calls each to the schedule.
        steps: how many updates to draw, >= 2. Of more than 2000, as many are drawn, evenly spaced.
        path: where to save the picture; the suffix (`.png`, `.svg`, `.pdf`) says as what. `None` does not.
        columns: how many small charts in a row, one for each schedule; `None` draws all in one chart.
        log_scale: whether the axis of the rates is logarithmic.
        title: a title above the figure.

    Returns:
        The `matplotlib.figure.Figure`; a notebook shows it.

    Raises:
        InvalidArgumentError: something is no schedule, there is none, an argument is out of its range, or
            matplotlib does not know the suffix.
        RunError: the picture cannot be written.
    """
    named = _named(schedules)
    steps = _validation.steps("plot", "steps", steps, at_least=2)
    if columns is not None:
        columns = _validation.steps("plot", "columns", columns, at_least=1)

    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    at = np.unique(np.linspace(0, steps - 1, min(steps, _POINTS)).round())
    curves = {name: _rates(schedule, at) for name, schedule in named.items()}
    charts = [curves] if columns is None else [{name: curve} for name, curve in curves.items()]
    across = min(columns or 1, len(charts))
    down = math.ceil(len(charts) / across)
    size = (6.4, 3.4) if columns is None else (2.4 * across, 1.5 * down)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(hspace=0.08, wspace=0.05))
    for number, chart in enumerate(charts):
        axes = figure.add_subplot(down, across, number + 1)
        _draw(axes, chart, at, log_scale=log_scale, small=columns is not None)
    if title is not None:
        figure.suptitle(title, color=_INK, fontsize=11)
    if path is not None:
        _save(figure, path)
    return figure


def _rates(schedule: Any, steps: np.ndarray) -> np.ndarray:
    """Return the rates of any `LearningRateSchedule` at float64 steps."""
    # As a graph, since a schedule of Keras that takes only scalars is called step by step; a concrete
    # function, since TensorFlow would warn of one that is traced for each picture.
    curve = tf.function(lambda at: nested.rates(schedule, at), autograph=False)
    return curve.get_concrete_function(tf.TensorSpec(len(steps), "float64"))(tf.constant(steps)).numpy()


def _named(schedules: Any) -> dict[str, Any]:
    """Return name -> schedule; names that a list holds twice are numbered."""
    if isinstance(schedules, keras.optimizers.schedules.LearningRateSchedule):
        schedules = [schedules]
    if isinstance(schedules, str) or not isinstance(schedules, Iterable):
        raise InvalidArgumentError(
            f"plot: expected a LearningRateSchedule, a list or a dictionary of them, got {schedules!r}."
        )
    if isinstance(schedules, Mapping):
        pairs = [(str(name), schedule) for name, schedule in schedules.items()]
    else:
        schedules = list(schedules)
        names = [getattr(each, "name", None) or type(each).__name__ for each in schedules]
        twice = {name for name in names if names.count(name) > 1}
        pairs = [
            (f"{name} {names[: i + 1].count(name)}" if name in twice else name, schedules[i])
            for i, name in enumerate(names)
        ]
    if not pairs:
        raise InvalidArgumentError("plot: expected at least one schedule, got none.")
    return {name: arguments.schedule("plot", repr(name), schedule) for name, schedule in pairs}


def _draw(axes: Any, curves: dict[str, np.ndarray], at: np.ndarray, *, log_scale: bool, small: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    for number, (name, curve) in enumerate(curves.items()):
        style = "-" if number < len(_COLORS) else "--"
        shown = np.where(curve > 0, curve, np.nan) if log_scale else curve
        axes.plot(at, shown, style, color=_COLORS[number % len(_COLORS)], linewidth=1.7, label=name)
        if small and not log_scale:
            axes.fill_between(at, curve, color=_COLORS[0], alpha=0.08, linewidth=0)
    axes.set_xlim(0, at[-1])
    if log_scale:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, 1.06 * max(float(curve.max()) for curve in curves.values()) or 1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3 if small else 5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=2 if small else 6, steps=[1, 2, 2.5, 5, 10]))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_MUTED)
    axes.spines["bottom"].set_linewidth(0.6)
    axes.grid(axis="y", color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, length=0, labelsize=7 if small else 8.5, which="both")
    if small:
        axes.set_title(next(iter(curves)), color=_INK, fontsize=8.5, loc="left", x=0, pad=5)
        return
    axes.set_xlabel("update", color=_MUTED, fontsize=8.5, loc="right")
    axes.set_ylabel("learning rate", color=_MUTED, fontsize=8.5)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK)
    else:
        axes.set_title(next(iter(curves)), color=_INK, fontsize=9.5, loc="left")


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    suffix = os.path.splitext(path)[1].removeprefix(".").lower()
    known = sorted(figure.canvas.get_supported_filetypes())
    if suffix not in known:
        raise InvalidArgumentError(
            f"plot: expected a path that ends in one of .{', .'.join(known)}; got {os.fspath(path)!r}."
        )
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
