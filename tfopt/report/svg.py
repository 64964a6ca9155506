"""Figures of matplotlib as SVG that takes its colours from the page."""

import html
import io
import re
from typing import Any

# matplotlib writes colours as hexadecimal numbers. These stand for the page's own, which change with the
# reader's light or dark setting.
COLORS = {"ink": "#010203", "muted": "#040506", "line": "#070809", "first": "#0a0b0c", "second": "#0d0e0f"}


def style(axes: Any, x: str = "") -> None:
    """Give axes the look of the page.

    Args:
        axes: of matplotlib.
        x: what the horizontal axis shows.
    """
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(COLORS["line"])
    axes.grid(axis="y", color=COLORS["line"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=COLORS["muted"], length=0, labelsize=8.5, which="both")
    axes.set_xlabel(x, parse_math=False, color=COLORS["muted"], fontsize=8.5, loc="right", labelpad=1)


def svg(figure: Any, title: str) -> str:
    """Return `figure` as an `<svg>` element for a page that holds several."""
    import matplotlib

    file = io.StringIO()
    # The salt makes the identifiers the same in every report, and different between its charts.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    # Its style element would hold for the whole page; its fonts and its fixed size are the page's to choose.
    drawn = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", drawn, count=1, flags=re.DOTALL)
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, count=1, flags=re.DOTALL)
    drawn = re.sub(r"font(-family)?: [^;\"]*'DejaVu Sans'[^;\"]*", _font_size, drawn)
    label = html.escape(title)
    drawn = re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>',
        lambda found: f'<svg viewBox="{found[1]}" role="img" aria-label="{label}">',
        drawn,
        count=1,
    )
    for name, code in COLORS.items():
        drawn = drawn.replace(code, f"var(--{name})")
    return drawn


def _font_size(font: re.Match[str]) -> str:
    found = re.search(r"[\d.]+px", font[0])
    return f"font-size: {found[0]}" if found else ""
