"""What the report says of a loss: by how much, and whether that is more than was allowed."""

import pytest

from tfopt.report import text
from tfopt.report.change import change, lost_too_much, lower_is_better
from tfopt.report.html import page
from tfopt.report.outcome import outcome, verdict
from tfopt.run.run_record import RunRecord


def with_metric(record, name, before, after, max_drop=0.05):
    first, *_, last = record["stages"]
    for stage in record["stages"]:
        stage["metrics"] = {name: before}
    first["title"] = "as given"
    last["metrics"] = {name: after}
    last["config"] = {"class": "ExportTFLite", "max_drop": max_drop}
    return record


@pytest.mark.parametrize(
    ("name", "before", "after", "said", "bad"),
    [
        ("mae", 14.25, 19.85, "int8 TFLite has mae 19.85, 39 % worse (as given 14.25)", True),
        ("mae", 14.25, 14.8, "int8 TFLite has mae 14.8, 4 % worse (as given 14.25)", False),
        ("mae", 14.25, 14.3, "int8 TFLite keeps mae 14.3 (as given 14.25)", False),
        ("mae", 14.25, 10.0, "int8 TFLite has mae 10, 30 % better (as given 14.25)", False),
        ("loss", 0.0, 0.1, "int8 TFLite has loss 0.1, far worse (as given 0)", True),
        ("accuracy", 0.9, 0.86, "int8 TFLite keeps 86.00 % (as given 90.00 %)", False),
        ("accuracy", 0.9, 0.8, "int8 TFLite loses 10.0 points: 80.00 % (as given 90.00 %)", True),
        ("accuracy", 0.3, 0.9, "int8 TFLite keeps 90.00 % (as given 30.00 %)", False),
        ("auc", 0.95, 0.85, "int8 TFLite loses 0.1: auc 0.85 (as given 0.95)", True),
        ("secret", 1.0, 9.0, "int8 TFLite keeps secret 9 (as given 1)", False),
    ],
)
def test_what_happened_is_said(record, name, before, after, said, bad):
    with_metric(record, name, before, after)
    assert verdict(record).startswith(said + ",")
    assert lost_too_much(RunRecord.from_json(record)) is bad
    assert outcome(RunRecord.from_json(record)) == ("bad" if bad else "good")
    assert ('<h1 class="bad">' in page(RunRecord.from_json(record))) is bad


def test_the_limit_is_what_the_stage_was_given(record):
    with_metric(record, "mae", 10.0, 14.0, max_drop=0.5)
    assert outcome(RunRecord.from_json(record)) == "good"
    assert "40 % worse" in verdict(record)
    record["stages"][-1]["config"]["max_drop"] = None
    assert outcome(RunRecord.from_json(record)) == "good"
    del record["stages"][-1]["config"]["max_drop"]  # records of older runs
    assert outcome(RunRecord.from_json(record)) == "good"


def test_what_is_lost_is_counted_from_the_first_model_that_had_learned(record):
    with_metric(record, "accuracy", 0.9, 0.8)
    record["stages"][0] |= {"metrics": {"accuracy": 0.1}, "at_chance": True}
    second = record["stages"][1]["title"]
    assert verdict(record).startswith(f"int8 TFLite loses 10.0 points: 80.00 % ({second} 90.00 %)")
    assert outcome(RunRecord.from_json(record)) == "bad"
    for stage in record["stages"]:
        stage["at_chance"] = True  # nothing was learned at all
    assert verdict(record).startswith("int8 TFLite keeps 80.00 % (as given 10.00 %)")


def test_a_run_that_is_cut_off_is_not_judged(cut_off):
    assert outcome(RunRecord.from_json(cut_off)) == "bad"  # it failed
    cut_off["status"] = "running"
    assert outcome(RunRecord.from_json(cut_off)) == ""
    assert change(RunRecord()) is None


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        ("accuracy", False),
        ("sparse_top_k_categorical_accuracy", False),
        ("cosine_similarity", False),
        ("f1_score", False),
        ("r2_score", False),
        ("mean_io_u", False),  # as Keras calls MeanIoU
        ("mean_iou", False),
        ("box_iou", False),
        ("auc", False),
        ("loss", True),
        ("b_mae", True),
        ("root_mean_squared_error", True),
        ("binary_crossentropy", True),
        ("my_own", None),
    ],
)
def test_which_way_is_better(name, lower):
    assert lower_is_better(name) is lower


def test_a_regression_has_no_words_of_classes(record):
    with_metric(record, "mae", 14.25, 14.3)
    record["data"]["num_classes"] = None
    record["stages"][-1]["verification"] |= {"top1_agreement": None}
    for said in (text(record), page(RunRecord.from_json(record))):
        lowered = said.lower()
        for word in ("accuracy", "class chosen", "agree", "classes"):
            assert word not in lowered.replace("num classes", ""), word
    assert "Mae on 360 held-out samples" in text(record)
