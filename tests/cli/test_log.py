"""`--verbose`: the log of tfopt on standard error, and nothing of it without."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tfopt
from tfopt.cli.log import Log

RECIPE = """
import keras
import numpy as np
import tfopt

def build(hp):
    return tfopt.Recipe(
        data=tfopt.data.from_arrays(np.random.default_rng(0).random((40, 4)), np.arange(40) % 2),
        model=lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")]),
        optimizer="adam",
        stages=[tfopt.Train(epochs=1)],
    )
"""


def test_a_run_says_which_stage_it_does(tmp_path):
    (tmp_path / "tiny.py").write_text(RECIPE)

    def run(*arguments):
        command = [sys.executable, "-m", "tfopt", *arguments]
        environment = os.environ | {"PYTHONPATH": str(Path(tfopt.__file__).parents[1])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    # Before the command and after it, once and twice.
    begun = run("-v", "run", "tiny.py")
    assert begun.count("tfopt.pipeline.stage_sequence: stage 1 train: begins") == 1
    assert begun.count("tfopt.pipeline.stage_sequence: stage 1 train: complete after ") == 1
    assert "tfopt.pipeline.stage_context" not in begun
    assert "tfopt.pipeline.stage_context: training" in run("run", "tiny.py", "--fresh", "-vv")
    assert "tfopt.pipeline.stage_sequence" not in run("run", "tiny.py")


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ((1,), ["info", "warning"]),
        ((1, 1), ["debug", "info", "warning"]),
        ((2,), ["debug", "info", "warning"]),
        ((7,), ["debug", "info", "warning"]),
    ],
)
def test_each_verbose_shows_one_level_more(times, shown, capsys):
    logger = logging.getLogger("tfopt.some.module")
    with Log() as log:
        for each in times:
            log.show(each)
        for level in ("debug", "info", "warning"):
            getattr(logger, level)("at the level of %s", level)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in lines] == shown
    assert all(" tfopt.some.module: at the level of " in line for line in lines)


def test_the_logger_is_left_as_it_was():
    logger = logging.getLogger("tfopt")
    before = logger.level, [*logger.handlers]
    with Log() as log:
        log.show(2)
        assert (logger.level, logger.handlers) != before
    assert (logger.level, logger.handlers) == before


def test_every_command_has_the_option(tfopt_cli):
    for arguments in ([], ["run"], ["export"], ["search"], ["report"], ["debug"], ["inspect"], ["bench"]):
        code, output, _ = tfopt_cli(*arguments, "--help")
        assert code == 0
        assert "-v, --verbose" in output
