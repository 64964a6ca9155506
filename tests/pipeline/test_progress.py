"""What the progress of a run prints, and where."""

import io

import pytest
from rich.console import Console

from tfopt.pipeline.progress import Display
from tfopt.run.stage_record import StageRecord

STAGE = StageRecord(
    number=2, title="pruned", metrics={"loss": 0.25, "top_k_accuracy": 0.5, "mae": None}, seconds=12.3
)


def test_a_stage_that_ends_is_one_line_with_what_was_measured():
    file = io.StringIO()
    with Display(3, Console(file=file)) as display:
        display.begin(2, "prune")
        display.note("measuring")
        display.end(STAGE)
    assert file.getvalue() == "✓ 2/3 pruned: loss 0.2500, top k accuracy 0.5000 (12 s)\n"


def test_a_warning_is_printed_and_its_brackets_are_no_markup():
    file = io.StringIO()
    Display(1, Console(file=file)).warn("The input [red]x[/] saturates.")
    assert file.getvalue() == "Warning: The input [red]x[/] saturates.\n"


def test_without_a_console_nothing_is_printed_and_a_warning_is_one_of_python(capsys):
    display = Display(1, None)
    with display:
        display.say("The run begins.")
        display.end(STAGE)
    with pytest.warns(UserWarning, match="The input x saturates"):
        display.warn("The input x saturates.")
    assert capsys.readouterr() == ("", "")
