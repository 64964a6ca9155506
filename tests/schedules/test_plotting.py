"""Pictures of schedules."""

import sys

import keras
import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError, RunError
from tfopt.schedules import Cyclic, Linear, Step, plot

LINEAR = Linear(0.1, decay_steps=10)
KERAS = keras.optimizers.schedules.CosineDecay(0.0, 50, warmup_target=0.1, warmup_steps=10)


def test_draws_one_schedule():
    (axes,) = plot(LINEAR, 12).axes
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(12))
    np.testing.assert_allclose(line.get_ydata(), LINEAR(np.arange(12)))
    assert axes.get_legend() is None


@pytest.mark.parametrize(
    ("schedules", "names"),
    [
        ({"a": LINEAR, "b": KERAS}, ["a", "b"]),
        ([LINEAR, KERAS], ["Linear", "CosineDecay"]),
        ([LINEAR, Step(0.1, step_size=3), LINEAR], ["Linear 1", "Step", "Linear 2"]),
    ],
)
def test_names_several(schedules, names):
    (axes,) = plot(schedules, 12, log_scale=True, title="rates").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names


def test_draws_a_schedule_of_keras_that_takes_scalars_only():
    ydata = plot(KERAS, 60).axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(ydata, [KERAS(step) for step in range(60)])


def test_small_charts_and_long_trainings():
    figure = plot([LINEAR, KERAS, Cyclic(0.0, 0.1, step_size_up=5)], 10_000_000, columns=2)
    assert len(figure.axes) == 3
    at = figure.axes[0].lines[0].get_xdata()
    assert len(at) == 2000
    assert at[-1] == 9_999_999


def test_saves_without_pyplot(tmp_path):
    loaded = "matplotlib.pyplot" in sys.modules
    plot(LINEAR, 12, tmp_path / "new" / "rates.png")
    plot(LINEAR, 12, tmp_path / "rates.SVG")
    assert (tmp_path / "new" / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "rates.SVG").read_text()
    assert ("matplotlib.pyplot" in sys.modules) == loaded


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedules": 0.1}, "expected a LearningRateSchedule, a list or a dictionary"),
        ({"schedules": "cosine"}, "expected a LearningRateSchedule, a list or a dictionary"),
        ({"schedules": []}, "at least one"),
        ({"schedules": {}}, "at least one"),
        ({"schedules": {"mine": 0.1}}, "'mine' to be a LearningRateSchedule"),
        ({"steps": 1}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"columns": 0}, "columns"),
        ({"path": "rates.docx"}, r"\.png.*got 'rates.docx'"),
        ({"path": "rates"}, "got 'rates'"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgumentError, match=message):
        plot(**{"schedules": LINEAR, "steps": 10, **arguments})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Cannot write"):
        plot(LINEAR, 10, tmp_path / "file" / "rates.png")
