import subprocess
import sys

import pytest

from tfopt.report import text


def test_every_stage_has_a_row_with_its_figures(record):
    lines = text(record).splitlines()
    row = next(line for line in lines if line.startswith("int8 TFLite "))
    assert " ".join(row.split()) == "int8 TFLite 97.50 % 41.9 kB 16.4 kB 80.0 % 412 k 0.43x 100 %"
    for stage in record["stages"]:
        assert any(line.startswith(stage["title"]) for line in lines)


def test_it_names_the_machine_and_the_samples(record):
    assert "360 held-out samples" in text(record)
    assert "Xeon" in text(record)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_it_fits_any_width(record, width):
    assert max(map(len, text(record, width).splitlines())) <= width


def test_eighty_columns_hold_everything_and_less_says_what_is_missing(record):
    assert "Too narrow" not in text(record, 80)
    assert "Too narrow to show: Sparsity, gzip, MACs" in text(record, 56)


def test_what_is_missing_is_shown_as_missing(cut_off):
    lines = text(cut_off).splitlines()
    row = next(line for line in lines if line.startswith("quantization-aware (running)"))
    assert row.split()[2:] == ["-"] * 7


@pytest.mark.parametrize("record", [{}, {"stages": None}, {"stages": [{}]}, {"stages": [{"metrics": None}]}])
def test_any_record_can_be_shown(record):
    assert text(record)


def test_ascii_is_enough_but_for_the_rule(record):
    cells = [line for line in text(record).splitlines() if not line.startswith("─")]
    assert "\n".join(cells).isascii()


def test_it_needs_neither_tensorflow_nor_matplotlib():
    code = (
        "import sys, tfopt.report; tfopt.report.text({}); "
        "print([name for name in ('tensorflow', 'keras', 'matplotlib', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
