"""The report of a run or a search for people: a table in the terminal and `report.html`.

Everything here works on the records of `tfopt.run`, which the public functions make of the content of a
`run.json`, and needs neither TensorFlow nor Keras. A run that was cut off is shown as far as it went.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfopt.report.html import write_html
    from tfopt.report.outcome import verdict
    from tfopt.report.search_html import write_search_html
    from tfopt.report.terminal import terminal_table, text
    from tfopt.report.trials import trials_table

__all__ = ["terminal_table", "text", "trials_table", "verdict", "write_html", "write_search_html"]

_MODULES = {
    "terminal_table": "terminal",
    "text": "terminal",
    "trials_table": "trials",
    "verdict": "outcome",
    "write_html": "html",
    "write_search_html": "search_html",
}


def __getattr__(name: str) -> Any:
    # matplotlib and jinja2 are wanted only by those who write a page.
    if name not in _MODULES:
        raise AttributeError(f"module 'tfopt.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tfopt.report.{_MODULES[name]}"), name)
