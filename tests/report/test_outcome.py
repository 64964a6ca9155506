import pytest

from tfopt.report.outcome import compare, verdict


def test_a_gain(record):
    assert verdict(record) == "int8 TFLite keeps 97.50 % (trained 97.78 %), 3.4x smaller, 2.3x faster"


def test_a_loss_is_said_like_a_gain(record):
    record["stages"][-1]["latency"]["ratio"] = 1.4
    record["stages"][-1]["bytes"] = 2 * record["stages"][0]["bytes"]
    assert verdict(record).endswith("2.0x larger, 1.40x slower")


def test_what_was_not_measured_is_left_out(record):
    record["stages"][-1]["latency"] = None
    assert verdict(record).endswith("3.4x smaller")


def test_a_failed_run_says_where_and_why(cut_off):
    assert verdict(cut_off) == "Failed in the stage 'quantize_aware': No space left on device."


def test_a_run_under_way_says_how_far_it_is(cut_off):
    cut_off["status"] = "running"
    assert verdict(cut_off).startswith("Not finished: 2 of 3 stages are complete.")


def test_a_regression_leads_with_its_own_metric(record):
    for stage in record["stages"]:
        stage["metrics"] = {"loss": 0.2, "mean_absolute_error": 0.31}
    assert verdict(record).startswith("int8 TFLite keeps mean_absolute_error 0.31 (trained 0.31)")


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (0.5, "2.0x faster"),
        (0.985, "as fast"),
        (1.015, "as fast"),
        (1.1, "1.10x slower"),
        (None, ""),
        (0, ""),
    ],
)
def test_compare(after, text):
    assert compare(1.0, after, "faster", "slower", "as fast") == text


def test_the_public_name_is_the_function_whatever_was_imported_before(record):
    import tfopt.report.html  # which imports the module that the function is in

    assert tfopt.report.verdict(record) == verdict(record)
