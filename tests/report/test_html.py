import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tfopt.report import write_html
from tfopt.report.html import page
from tfopt.run.run_record import RunRecord


class Tags(HTMLParser):
    """Checks that what is opened is closed, and gathers the text and what the page would load."""

    VOID = ("meta", "link", "img", "br", "hr", "input")

    def __init__(self, content):
        super().__init__()
        self.open, self.text, self.loads = [], [], []
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        attributes = dict(attributes)
        self.loads += [attributes[name] for name in ("src", "href", "xlink:href") if name in attributes]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def words(record):
    return " ".join(" ".join(Tags(page(RunRecord.from_json(record))).text).split())


def test_it_is_one_file_that_loads_nothing(record):
    content = page(RunRecord.from_json(record))
    assert all(target.startswith("#") for target in Tags(content).loads)
    assert "@import" not in content
    assert not re.search(r"url\((?!#)", content)


def test_it_says_what_matters(record):
    text = words(record)
    assert (
        text.count("int8 TFLite keeps 97.50 % (trained 97.78 %), 3.4x smaller, 2.3x faster") == 2
    )  # the title and the heading
    for said in (
        "tfopt run recipes/digits.py",
        "width 16, lr 0.003, sparsity 0.8",
        "verified, run in LiteRT on 360 held-out samples",
        "CONV_2D 3 int8",
        "Left in float none",
        "Tolerance: min agreement 0.95 Tolerance: min SNR, dB 10 Tolerance: negligible LSB 2",
        "x / 16",
        "Xeon",
        "2.21.0",
        "quantization-aware scheme int8, epochs 3",
    ):
        assert said in text


def test_tables_scroll_by_themselves_and_settings_are_whole(record):
    record["stages"][0]["config"] = {"rules": {"conv1": None, "head": 0.5}}
    content = page(RunRecord.from_json(record))
    assert content.count("<table") == len(re.findall(r'<div class="scroll"[^>]*>\s*<table', content))
    assert "rules conv1 none, head 0.5" in words(record)


def test_a_chart_for_each_curve_in_the_colours_of_the_page(record):
    content = page(RunRecord.from_json(record))
    labels = re.findall(r'role="img" aria-label="([^"]*)"', content)
    assert labels == ["Loss", "Accuracy", "Learning rate", "Gradient norm", "Sparsity"]
    charts = content[content.index("<svg") : content.rindex("</svg>")]
    assert set(re.findall(r"#[0-9a-f]{6}\b", charts)) <= {"#000000"}
    assert "var(--first)" in charts
    assert "DejaVu" not in charts


def test_the_same_record_makes_the_same_page(record):
    assert page(RunRecord.from_json(record)) == page(RunRecord.from_json(record))


def test_what_failed_is_said_first_and_figures_are_missing(cut_off):
    text = words(cut_off)
    assert "Failed in the stage 'quantize_aware': No space left on device." in text
    assert "No file was exported and verified yet." in text
    assert "Latency - not measured" in text


def test_a_failed_verification_is_no_success(record):
    record["stages"][-1]["verification"] |= {
        "passed": False,
        "failures": ["SNR in dB of the output 'head' is 3.2, at least 10 was asked"],
        "float_operators": [{"operator": "SOFTMAX", "layer": "head"}],
    }
    text = words(record)
    assert "not within its tolerance" in text
    assert "SNR in dB of the output 'head' is 3.2, at least 10 was asked." in text
    assert "Left in float SOFTMAX from head" in text


def test_what_is_wrong_with_a_part_is_noted_with_the_way_out(record):
    note = {"tensor": "boxes", "reason": "does not vary", "way_out": "split the output", "channels": [4, 5]}
    record["stages"][-1]["verification"]["findings"] = [
        {**note, "fails": False},
        {**note, "tensor": "scores", "fails": True},
    ]
    text = words(record)
    assert "Note on boxes , channels 4, 5: does not vary. Way out: split the output." in text
    assert "Note on scores" not in text


def test_a_slow_down_is_shown(record):
    record["stages"][-1]["latency"]["ratio"] = 1.7
    assert "1.70x slower" in words(record)


@pytest.mark.parametrize(
    "history",
    [
        {},
        {"loss": []},
        {"loss": [None, 1.0]},
        {"loss": [float("nan")] * 3},
        {"loss": [0.0, 0.0], "grad_norm": [1e-9, 1e6]},
    ],
)
def test_any_history_can_be_drawn(record, history):
    for stage in record["stages"]:
        stage["history"] = history
    Tags(page(RunRecord.from_json(record)))


@pytest.mark.parametrize("record", [{}, {"stages": [{}]}, {"stages": [{"verification": {"passed": True}}]}])
def test_any_record_makes_a_page(record):
    Tags(page(RunRecord.from_json(record)))


def test_names_cannot_break_out_of_the_page(record):
    record["name"] = record["command"] = "<script>alert(1)</script>"
    assert "<script" not in page(RunRecord.from_json(record))


def test_write_html(record, tmp_path):
    path = write_html(tmp_path, record)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == page(RunRecord.from_json(record))
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_it_needs_no_tensorflow_and_leaves_matplotlib_as_it_was(tmp_path):
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from tfopt.report.html import page; from tfopt.run.run_record import RunRecord\n"
        "page(RunRecord.from_json({'stages': [{'history': {'loss': [1.0]}}]}))\n"
        "assert all(matplotlib.rcParams[key] == before[key] for key in before if key.startswith('svg'))\n"
        "print([name for name in ('tensorflow', 'keras', 'matplotlib.pyplot') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
