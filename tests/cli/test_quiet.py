import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfopt.cli.quiet import VARIABLE


def run(code, folder, **environment):
    """Run code in a process that finds the package `tensorflow` in `folder`."""
    clean = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"],
        capture_output=True,
        text=True,
        env=clean | environment,
    )


@pytest.fixture
def noisy(tmp_path):
    """A folder with a `tensorflow` that is as noisy as the real one, and quicker."""

    def write(body):
        package = tmp_path / "tensorflow"
        package.mkdir()
        (package / "__init__.py").write_text(f"import os\nos.write(2, b'noise\\n')\n{body}")
        (package / "config.py").write_text(
            "import os\ndef list_physical_devices(): os.write(2, b'no GPU\\n')"
        )
        return tmp_path

    return write


QUIET = "from tfopt.cli.quiet import quiet_tensorflow; quiet_tensorflow()\n"


def test_noise_is_held_back_and_what_follows_is_not(noisy):
    folder = noisy("from tensorflow import config\nvalue = 3")
    code = QUIET + "import tensorflow; assert tensorflow.value == 3; print('after', file=sys.stderr)"
    done = run(code, folder)
    assert (done.returncode, done.stderr) == (0, "after\n")


def test_who_sets_the_variable_hears_everything(noisy):
    folder = noisy("from tensorflow import config")
    assert run(QUIET + "import tensorflow", folder, **{VARIABLE: "0"}).stderr == "noise\n"


def test_a_failing_import_shows_what_was_held_back(noisy):
    folder = noisy("raise ImportError('no such library')")
    done = run(QUIET + "import tensorflow", folder)
    assert done.stderr.startswith("noise\n")
    assert "ImportError: no such library" in done.stderr


def test_only_the_process_of_the_command_line_is_changed():
    code = f"import os, tfopt, tfopt.cli; assert {VARIABLE!r} not in os.environ"
    assert run(code, "").returncode == 0


def test_litert_says_nothing_of_its_delegate():
    file = Path(__file__).parents[2] / "saved_models" / "example" / "model.tflite"
    code = f"from tfopt.cli import main; main(['bench', {str(file)!r}])"
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
