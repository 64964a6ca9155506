"""`make bench` runs every script without arguments, so none of its scripts may want one."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_BENCH = set(re.search(r"^NOT_BENCH := (.*)$", (ROOT / "Makefile").read_text(), re.M).group(1).split())
SCRIPTS = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("*.py"))}


def wanted(source):
    """Return the arguments that a script with this source cannot do without."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "add_argument":
            options = {each.arg: each.value for each in node.keywords}
            name = ast.literal_eval(node.args[0])
            nargs = ast.literal_eval(options["nargs"]) if "nargs" in options else None
            required = "required" in options and ast.literal_eval(options["required"])
            if required or (not name.startswith("-") and nargs not in ("?", "*")):
                found.append(name)
    return found


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in NOT_BENCH])
def test_no_argument_is_required(name):
    assert not wanted(SCRIPTS[name].read_text())


def test_what_is_left_out_is_there():
    assert set(SCRIPTS) >= NOT_BENCH


def test_required_arguments_are_seen():
    source = 'a.add_argument("folder")\na.add_argument("--x", required=True)\na.add_argument("y", nargs="?")'
    assert wanted(source) == ["folder", "--x"]
