"""The history of a run, epoch by epoch across the stages, as SVG that takes its colours from the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfopt.report import formats
from tfopt.report.svg import COLORS, style, svg
from tfopt.report.table import main_metric, metric_title
from tfopt.run.run_record import RunRecord


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str
    color: str
    """The name of a colour of the page: `"first"` or `"second"`."""
    last: str
    """The last value, for the caption."""


@dataclass(frozen=True)
class Chart:
    """One chart, ready for the page."""

    title: str
    lines: tuple[Line, ...]
    svg: str


@dataclass(frozen=True)
class _Spec:
    """What a chart shows, before it is known whether a run has values for it."""

    title: str
    keys: tuple[tuple[str, str], ...]
    """Key in the history -> what the caption calls it."""
    show: Callable[[float], str]
    share: bool = False
    """The values are shares in [0, 1], shown as percentages."""
    from_zero: bool = False
    may_be_logarithmic: bool = False


_LOGARITHMIC_FROM = 100
"""How far the largest value lies above the smallest one before a linear axis hides the small ones."""


def charts(record: RunRecord) -> list[Chart]:
    """Return the charts of a run: those for which its history has values."""
    histories = [stage.history or {} for stage in record.stages]
    drawn = []
    for spec in _specs(main_metric(record)):
        series = {key: [_values(history.get(key)) for history in histories] for key, _ in spec.keys}
        series = {key: parts for key, parts in series.items() if any(map(_has_number, parts))}
        if series:
            numbers = [stage.number for stage in record.stages]
            drawn.append(_chart(spec, series, [_epochs(history) for history in histories], numbers))
    return drawn


def _specs(metric: str) -> list[_Spec]:
    def pair(key: str) -> tuple[tuple[str, str], ...]:
        return ((key, "training"), (f"val_{key}", "validation"))

    def short(value: float) -> str:
        return f"{value:.3g}"

    specs = [_Spec("Loss", pair("loss"), short, may_be_logarithmic=True)]
    if metric != "loss":
        accuracy = metric.endswith("accuracy")
        show = formats.percent if accuracy else short
        specs.append(_Spec(metric_title(metric), pair(metric), show, share=accuracy))
    return [
        *specs,
        _Spec("Learning rate", (("learning_rate", ""),), short, from_zero=True),
        _Spec(
            "Gradient norm",
            (("grad_norm", "before clipping"), ("clipped_grad_norm", "after clipping")),
            short,
            may_be_logarithmic=True,
        ),
        _Spec("Clipped gradients", (("clip_rate", ""),), formats.percent, share=True, from_zero=True),
        _Spec("Update relative to weights", (("update_ratio", ""),), short, may_be_logarithmic=True),
        _Spec(
            "Sparsity",
            (("sparsity", ""),),
            lambda value: formats.percent(value, 1),
            share=True,
            from_zero=True,
        ),
    ]


def _values(raw: Sequence[float | None] | None) -> list[float]:
    """Return a history as floats; what is no finite number, as after a diverged epoch, is a gap."""
    return [float(value) if formats.is_number(value) else float("nan") for value in raw or []]


def _has_number(values: list[float]) -> bool:
    return any(map(formats.is_number, values))


def _epochs(history: Mapping[str, Sequence[float | None]]) -> int:
    return max((len(values) for values in history.values()), default=0)


def _chart(spec: _Spec, series: dict[str, list[list[float]]], epochs: list[int], numbers: list[int]) -> Chart:
    # `Figure` without pyplot: no global figure, no choice of backend for the host program.
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

    figure = Figure(figsize=(5.2, 2.3), layout="constrained")
    axes = figure.add_subplot()
    lines = []
    for (key, parts), color in zip(series.items(), ("first", "second"), strict=False):
        start = 0
        last = float("nan")
        for part, length in zip(parts, epochs, strict=True):
            marker = "o" if len(part) == 1 else None
            x = range(start + 1, start + len(part) + 1)
            axes.plot(x, part, color=COLORS[color], linewidth=1.6, marker=marker, markersize=3)
            last = next(filter(formats.is_number, reversed(part)), last)
            start += length
        lines.append(Line(dict(spec.keys)[key], color, spec.show(last)))

    values = [value for parts in series.values() for part in parts for value in part if value == value]
    if spec.may_be_logarithmic and min(values) > 0 and max(values) > _LOGARITHMIC_FROM * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if spec.share:
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    if spec.from_zero:
        axes.set_ylim(bottom=0)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(0.5, max(sum(epochs), 1) + 0.5)
    _mark_stages(axes, epochs, numbers)
    style(axes, x="epoch")
    return Chart(spec.title, tuple(lines), svg(figure, spec.title))


def _mark_stages(axes: Any, epochs: list[int], numbers: list[int]) -> None:
    """Number each stage that trained at its first epoch, with a line where it begins."""
    start = 0
    for number, length in zip(numbers, epochs, strict=True):
        if not length:
            continue
        if start:
            axes.axvline(start + 0.5, color=COLORS["muted"], linewidth=0.7, dashes=(2, 2))
        axes.annotate(
            str(number),
            (start + 0.5, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(2, 2),
            textcoords="offset points",
            color=COLORS["muted"],
            fontsize=8.5,
        )
        start += length
