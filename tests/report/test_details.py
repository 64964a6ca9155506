"""What stands below the table: warnings, classes, outputs, the file's contract, learning rates, settings."""

import re

import pytest

from tfopt.report import details, formats, text
from tfopt.report.details import settings
from tfopt.report.html import page
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_record import StageRecord


def words(record):
    plain = re.sub(r"<[^>]*>", " ", page(RunRecord.from_json(record))).replace("&#39;", "'")
    return " ".join(plain.split())


def both(record):
    return " ".join(text(record).split()), words(record)


def test_warnings_stand_in_both(record):
    record["warnings"] = ["The input 'x' is scaled twice."]
    for said in both(record):
        assert "Warning: The input 'x' is scaled twice." in said


def test_classes_by_name_in_both(record):
    for stage, share in ((record["stages"][0], 0.9), (record["stages"][-1], 0.8)):
        stage["classes"] = [
            {"class": "cat", "samples": 30, "accuracy": share},
            {"class": "dog", "samples": 0, "accuracy": None},
        ]
    for said in both(record):
        assert "cat 30 90.00 % 80.00 %" in said
        assert "dog 0 - -" in said


def test_sizes_of_files_stand_on_the_page(record):
    assert "Sizes of the files" not in words(record)
    record["stages"][-1]["weights"] = {
        "sparsity": 0.8,
        "clusters": 16,
        "sparse_bytes": 20_000,
        "entropy_bytes": 12_300,
    }
    stage = record["stages"][-1]
    assert f"{stage['bytes'] / 1000:.1f} kB" in words(record)
    assert re.search(r"int8 TFLite [\d.]+ kB [\d.]+ kB 20\.0 kB 12\.3 kB 80\.0 % 16", words(record))


def test_a_terminal_shows_the_worst_of_many_classes(record):
    classes = [{"class": f"c{i}", "samples": 9, "accuracy": i / 40} for i in range(40)]
    record["stages"][0]["classes"] = record["stages"][-1]["classes"] = classes[::-1]
    lines = text(record).splitlines()
    assert any(line.startswith("c1 ") for line in lines)
    assert not any(line.startswith("c39 ") for line in lines)
    assert "c39 9" in words(record)


def test_each_output_has_rows_of_its_own(record):
    record["model"]["outputs"] = ["a", "a_b"]
    for stage, add in ((record["stages"][0], 0.0), (record["stages"][-1], 0.01)):
        stage["metrics"] = {"loss": 1.0, "a_accuracy": 0.5 + add, "a_b_mae": 2.0 + add, "a_loss": 0.25}
    for said in both(record):
        assert "a Accuracy 50.00 % 51.00 %" in said
        assert "a_b Mae 2 2.01" in said
        assert "a Loss 0.25 0.25" in said


def test_a_single_output_needs_no_such_table(record):
    record["model"]["outputs"] = ["head"]
    assert "Output by output" not in words(record)


def test_what_the_file_takes_and_returns(record):
    spec = {"name": "image", "shape": [1, 8, None], "dtype": "int8", "scale": 0.00390625, "zero_point": -128}
    output = {"name": "head", "shape": [1, 2], "dtype": "float32", "scale": None, "zero_point": None}
    record["stages"][-1]["contract"] = {
        "inputs": [spec],
        "outputs": [output],
        "preprocessing": "x / 255",
        "class_names": ["cat", "dog"],
    }
    for said in both(record):
        assert (
            "int8, 1 x 8 x any, real = 0.00390625 * (integer + 128) (scale 0.00390625, zero point -128)"
            in said
        )
        assert re.search(r"inputs are:? x / 255", said)
        assert re.search(r"output head:? float32, 1 x 2", said)
        assert re.search(r"classes:? 0 cat, 1 dog", said)


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"used": 0.001, "compiled": 0.01}, "0.001 (a tenth of the compiled 0.01)"),
        ({"used": 0.0005, "compiled": 0.01}, "0.0005 (0.05 of the compiled 0.01)"),
    ],
)
def test_the_learning_rate_that_was_used(record, rates, said):
    record["stages"][1]["learning_rate"] = rates
    terminal, html = both(record)
    assert f"learning rate: pruned {said}" in terminal
    assert f"learning rate {said}" in html


@pytest.mark.parametrize("empty", [(), [], {}, "", None])
def test_empty_settings_are_not_listed(record, empty):
    record["stages"][2]["config"] |= {"preserve": empty, "calibration_samples": 512}
    assert settings(StageRecord.from_json(record["stages"][2])) == {
        "scheme": "int8",
        "epochs": 3,
        "calibration_samples": 512,
    }
    assert "scheme int8, epochs 3, calibration_samples 512" in words(record)
    assert "preserve" not in words(record)


def test_equal_outputs_are_equal_and_not_200_db(record):
    record["stages"][-1]["verification"] |= {"snr_db": 200.0, "max_error": 0.0}
    assert "Signal to noise, dB equal" in words(record)
    assert "200" not in words(record).split("Signal to noise")[1][:20]


def test_stages_have_the_numbers_of_their_folders(record):
    given = {
        "name": "start",
        "title": "as given",
        "number": 0,
        "status": "complete",
        "metrics": {"accuracy": 0.1},
    }
    record["stages"].insert(0, given)
    for number, stage in enumerate(record["stages"]):
        stage["number"] = number
    assert "Dashed lines mark where a stage begins: 1 trained, 2 pruned, 3 quantization-aware." in words(
        record
    )
    marks = re.findall(r">([0-9])</text>", page(RunRecord.from_json(record)))
    assert {"1", "2", "3"} <= set(marks)
    record["status"] = "running"
    record["stages"][-1]["status"] = "running"
    assert "Not finished: 3 of 4 stages are complete." in text(record)


def test_the_widths_that_channel_pruning_left(record):
    assert details.width_rows(RunRecord.from_json(record)) == []
    record["stages"][1]["channels"] = {
        "widths": [
            {"group": "conv1", "layers": ["conv1", "sep"], "before": 16, "after": 8},
            {"group": "hidden", "layers": ["hidden"], "before": 32},
            "damaged",
        ]
    }
    found = RunRecord.from_json(record)
    assert details.width_rows(found) == [("conv1, sep", "16", "8"), ("hidden", "32", formats.MISSING)]
    assert "<h2>Channels</h2>" in page(found)
    record["stages"][1]["channels"] = 7
    assert details.width_rows(RunRecord.from_json(record)) == []
