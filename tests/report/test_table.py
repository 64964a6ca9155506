"""The table of stages, on records."""

import dataclasses

import pytest

from tfopt.report import table
from tfopt.run.run_record import DataRecord, RunRecord
from tfopt.run.stage_record import LatencyRecord, StageRecord, VerificationRecord


def run(*metrics):
    return RunRecord(stages=tuple(StageRecord(metrics=dict.fromkeys(each, 0.5)) for each in metrics))


@pytest.mark.parametrize(
    ("metrics", "main"),
    [
        ([["loss", "mae", "accuracy"]], "accuracy"),
        ([["loss", "b_accuracy", "a_accuracy"]], "b_accuracy"),
        ([["loss", "mae"]], "mae"),
        ([["loss", "b_loss"]], "loss"),
        ([[], ["loss"]], "loss"),
        ([[]], "accuracy"),
        ([], "accuracy"),
    ],
)
def test_the_main_metric(metrics, main):
    assert table.main_metric(run(*metrics)) == main


@pytest.mark.parametrize(
    ("stage", "title"),
    [
        (StageRecord(name="prune", title="pruned"), "pruned"),
        (StageRecord(name="prune", status="running"), "prune (running)"),
        (StageRecord(), "?"),
    ],
)
def test_the_title_of_a_stage(stage, title):
    assert table.title(stage) == title


STAGE = StageRecord(
    title="int8 TFLite",
    metrics={"accuracy": 0.975},
    bytes=41936,
    compressed_bytes=16412,
    sparsity=0.8,
    macs=412288,
    latency=LatencyRecord(ratio=0.43),
    verification=VerificationRecord(top1_agreement=1.0),
)


def test_the_cells_of_a_stage_and_of_one_that_is_not_complete():
    cells = ["int8 TFLite", "97.50 %", "41.9 kB", "16.4 kB", "80.0 %", "412 k", "0.43x", "100 %"]
    failed = dataclasses.replace(STAGE, status="failed")
    assert table.rows(RunRecord(stages=(STAGE, failed, StageRecord(title="new")))) == [
        cells,
        ["int8 TFLite (failed)", *["-"] * 7],
        ["new", *["-"] * 7],
    ]


@pytest.mark.parametrize(
    ("data", "stage", "chooses"),
    [
        (None, StageRecord(), True),
        (DataRecord(num_classes=3), StageRecord(), True),
        (DataRecord(), StageRecord(), False),
        (DataRecord(), STAGE, True),
    ],
)
def test_agreement_has_a_column_where_classes_are_chosen(data, stage, chooses):
    record = RunRecord(data=data, stages=(stage,))
    assert table.chooses_classes(record) is chooses
    assert ("Same class" in [column.title for column in table.columns(record)]) is chooses


def test_the_heading_of_the_accuracy_is_the_main_metric():
    record = run(["loss", "mean_absolute_error"])
    assert [table.heading(column, record) for column in table.COLUMNS[:3]] == [
        "Stage",
        "Mean absolute error",
        "Size",
    ]
