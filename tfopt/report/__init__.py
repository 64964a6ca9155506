"""What a run shows a person: a table in the terminal and `report.html`.

Everything here works on `run.json` as a dict and needs neither TensorFlow nor Keras. A record of a run that
was cut off is shown as far as it goes.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfopt.report.html import write_html
    from tfopt.report.terminal import terminal_table, text
    from tfopt.report.trials import trials_table
    from tfopt.report.verdict import verdict

__all__ = ["terminal_table", "text", "trials_table", "verdict", "write_html"]

_MODULES = {
    "terminal_table": "terminal",
    "text": "terminal",
    "trials_table": "trials",
    "verdict": "verdict",
    "write_html": "html",
}


def __getattr__(name: str) -> Any:
    # matplotlib and jinja2 are wanted only by those who write a page.
    if name not in _MODULES:
        raise AttributeError(f"module 'tfopt.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tfopt.report.{_MODULES[name]}"), name)
