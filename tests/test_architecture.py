"""Imports point one way, and importing tfopt costs and changes nothing."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tfopt

ROOT = Path(tfopt.__file__).parent

ORDER = [
    "_version", "errors", "arguments", "rules", "files", "report", "data", "graph", "legacy", "engines",
    "schedules", "clipping", "measure", "optimizers", "pruning", "clustering", "trainers", "quantization",
    "callbacks", "post_training", "export", "tfmot", "distribute", "stages", "pipeline", "recipe_file",
    "recipe", "engine_comparison", "search", "cli",
]  # fmt: skip
"""A package may import those that stand before it."""

OUTSIDE = {"__init__", "__main__", "registered"}


def _imports(source: Path):
    """Yield the tfopt packages that a file imports; imports for type hints alone do not count."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "tfopt":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfopt."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("tfopt."))


def _package(source: Path) -> str:
    return source.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package):
    sources = [source for source in ROOT.rglob("*.py") if _package(source) == package]
    assert sources
    allowed = {*ORDER[: ORDER.index(package) + 1], "__version__"}
    wrong = {str(s.relative_to(ROOT)): sorted(set(_imports(s)) - allowed) for s in sources}
    assert not {source: names for source, names in wrong.items() if names}


def test_every_package_has_its_place():
    found = {_package(source) for source in ROOT.rglob("*.py")}
    assert found - OUTSIDE == set(ORDER)


def _in_a_fresh_process(code: str):
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


def test_importing_tfopt_loads_no_framework_and_changes_nothing():
    loaded, changed, level = _in_a_fresh_process(
        "import json, logging, os, sys; before = dict(os.environ); import tfopt; "
        "print(json.dumps([[m for m in ('tensorflow', 'keras', 'tensorflow_model_optimization') "
        "if m in sys.modules], dict(os.environ) != before, logging.getLogger().level]))"
    )
    assert loaded == []
    assert not changed
    assert level == 30


def test_every_public_name_can_be_had():
    for name in tfopt.__all__:
        assert getattr(tfopt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'prun'"):
        tfopt.prun  # noqa: B018


@pytest.mark.parametrize(
    "first",
    [
        "import tfopt; tfopt.graph",
        "import tfopt.recipe.recipe",
        "from tfopt.optimizers import Adan",
        "import tfopt.pruning.masks",
        "import keras, tfopt",
        "import tfopt, keras",
    ],
)
def test_whatever_is_imported_first_the_registered_classes_are_known(first):
    """Registering them must neither meet a package that is half imported nor be forgotten."""
    registered = _in_a_fresh_process(
        f"{first}; import json, keras; print(json.dumps("
        "[k for k in keras.saving.get_custom_objects() if k.startswith('tfopt>')]))"
    )
    assert {"tfopt>Adan", "tfopt>WarmupCosine", "tfopt>SparsityMask", "tfopt>WeightQuantizer"} <= {
        *registered
    }
