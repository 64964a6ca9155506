"""What the command line says before it works: help, versions, wrong arguments."""

import subprocess
import sys

import pytest

COMMANDS = ("run", "export", "search", "report", "convert", "inspect", "compare", "debug", "bench")
HEAVY = ("tensorflow", "keras", "keras_tuner", "matplotlib", "ai_edge_litert", "sklearn", "numpy")


def tfopt(*arguments, **options):
    """Run the command line in a process of its own and return it, and what it imported of what is slow."""
    code = (
        "import sys\n"
        "from tfopt.cli import main\n"
        "try:\n    main()\n"
        "finally:\n"
        f"    print('imported', [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, **options
    )
    errors, _, imported = done.stderr.rpartition("imported ")
    return done.returncode, done.stdout, errors, imported.strip()


@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS)])
def test_help_is_quick_and_complete(arguments):
    code, output, _, imported = tfopt(*arguments, "--help")
    assert code == 0
    assert imported == "[]"
    assert "Usage: tfopt" in output
    if not arguments:
        assert all(f"\n  {command} " in output for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rum", "recipe.py"), "Did you mean 'run'?"),
        (("run",), "Missing argument 'RECIPE'"),
        (("run", "no_such.py"), "'no_such.py' does not exist"),
        (("run", __file__, "--sed", "3"), "Did you mean"),
        (("run", __file__, "--seed", "-3"), "-3 is not in the range"),
        (("run", __file__, "--set", "width"), "expected NAME=VALUE, such as width=16, got 'width'"),
        (("run", __file__, "--strategy", "two"), "'two' is not one of"),
        (("export", __file__), "Missing option '--data'"),
        (("export", __file__, "--data", "digits", "--scheme", "int7"), "'int7' is not one of"),
        (("export", __file__, "--data", "digits", "--image-size", "96,96"), "such as 96x96"),
        (("export", __file__, "--data", "digits", "--rules", "head=int7"), "with one of float32"),
        (
            ("export", __file__, "--data", "digits", "--rules", "a=int8", "--rules", "a=int4"),
            "'a' is given twice",
        ),
        (("export", __file__, "--data", "digits", "--out", "small.bin"), "ends in .tflite"),
        (("search", __file__, "--trials", "0"), "0 is not in the range"),
        (("search", __file__, "--hours", "0"), "0 is not in the range"),
        (("search", __file__, "--epochs-total", "many"), "'many' is not a valid integer"),
        (("search", __file__, "--max", "bytes"), "expected NAME=VALUE"),
        (("search", __file__, "--max", "bytes=1k", "--max", "bytes=2k"), "'bytes' is given twice"),
        (("search", __file__, "--keep", "accuracy=much"), "expected a number"),
        (("search", __file__, "--keep", "accuracy=0", "--keep", "accuracy=-1"), "'accuracy' is given twice"),
        (("run", __file__, "--set", "width=2", "--set", "width=4"), "'width' is given twice"),
        (("search", __file__, "--sampler", "best"), "'best' is not one of"),
        (("report", "no_such"), "'no_such' does not exist"),
        (("bench",), "Missing argument 'MODELS"),
        (("compare", __file__), "Missing argument 'SECOND'"),
        (("debug", __file__, __file__), "Missing argument 'DATA'"),
    ],
)
def test_wrong_arguments(arguments, said):
    code, output, errors, imported = tfopt(*arguments)
    assert code == 2
    assert said in errors
    assert "Traceback" not in errors
    assert output == ""
    assert imported == "[]"


def test_contradicting_goals_are_one_line():
    goals = ("--minimize", "bytes", "--maximize", "accuracy")
    code, _, errors, imported = tfopt("search", __file__, *goals, "--sampler", "annealing")
    assert (code, imported) == (1, "[]")
    assert errors.startswith(
        "error: The sampler annealing improves one metric, got bytes, accuracy. Use one of"
    )
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--minimize", "accuracy"), "Cannot minimize 'accuracy', which is better when it is larger"),
        (("--minimize", "mine", "--maximize", "mine"), "'mine' is both minimized and maximized"),
        (("--max", "accuracy=1"), "There is no budget 'accuracy'; expected one of macs"),
        (("--max", "latency=3"), "above 1 and has no unit"),
        (("--keep", "bytes=0.1"), "limit it with --max bytes=0.5"),
    ],
)
def test_goals_that_cannot_be_are_one_line(arguments, said):
    code, _, errors, imported = tfopt("search", __file__, *arguments)
    assert (code, imported) == (1, "[]")
    assert said in errors
    assert errors.count("\n") == 1


def test_version():
    import tfopt as package

    assert tfopt("--version") == (0, f"tfopt {package.__version__}\n", "", "[]")


def test_without_arguments_it_shows_help():
    code, output, errors, _ = tfopt()
    assert code == 2
    assert "Usage: tfopt" in output + errors


def test_python_m_tfopt():
    done = subprocess.run(
        [sys.executable, "-m", "tfopt", "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: tfopt [OPTIONS] COMMAND" in done.stdout
