import math

import pytest

from tfopt.report import formats


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.975, "97.50 %"), (0, "0 %"), (1.0, "100 %"), (0.999999, "99.99 %"), (1e-9, "0.01 %"), (None, "-")],
)
def test_percent_never_claims_perfection(share, text):
    assert formats.percent(share) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (34120, "34.1 kB"),
        (999_960, "1.0 MB"),
        (2.5e9, "2.5 GB"),
    ],
)
def test_size(bytes_, text):
    assert formats.size(bytes_) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (412288, "412 k"), (1.5e6, "1.5 M"), (3.7e9, "3.7 G")]
)
def test_count(number, text):
    assert formats.count(number) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (1.76e-5, "17.6 µs"),
        (0.0021, "2.1 ms"),
        (59.6, "1 min 0 s"),
        (8, "8 s"),
        (92.3, "1 min 32 s"),
        (7300, "2 h 1 min"),
    ],
)
def test_seconds(duration, text):
    assert formats.seconds(duration) == text


@pytest.mark.parametrize(
    "show", [formats.percent, formats.size, formats.count, formats.ratio, formats.seconds]
)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, "x"])
def test_what_is_no_figure_is_missing(show, value):
    assert show(value) == formats.MISSING


def test_moment():
    assert formats.moment("2026-11-22T05:14:03+00:00") == "2026-11-22 05:14"
    assert formats.moment(None) == formats.MISSING
    assert formats.moment("yesterday") == "yesterday"
