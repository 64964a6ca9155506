"""Imports point one way, and importing tfopt costs and changes nothing."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfopt

ROOT = Path(tfopt.__file__).parent

ORDER = [
    "_version", "errors", "_validation", "_hyperparameters", "_replica_share", "rules", "files", "run",
    "report", "data", "graph", "legacy", "backends", "schedules", "clipping", "measure", "models",
    "optimizers", "sharing", "pruning", "clustering", "budgets", "distillation", "ensemble", "trainers",
    "quantization", "regularization", "callbacks", "post_training", "export", "tfmot", "channels",
    "factorization", "distribute", "stages", "pipeline", "recipe", "oracles", "search", "cli",
]  # fmt: skip
"""A package may import those that stand before it."""

OUTSIDE = {"__init__", "__main__", "_registration"}


def _statements(source: Path):
    """Yield every node of a file's code, without what is imported for type hints alone."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    yield from ast.walk(tree)


def _imports(source: Path):
    """Yield the tfopt packages that a file imports; imports for type hints alone do not count."""
    for node in _statements(source):
        if isinstance(node, ast.ImportFrom) and node.module == "tfopt":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfopt."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("tfopt."))


def _file(module: str, name: str = "") -> Path | None:
    """Return the file of `from module import name`: that of a module `module.name`, or that of `module`."""
    for dotted in (f"{module}.{name}", module):
        path = ROOT.parent / dotted.strip(".").replace(".", "/")
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists():
                return file
    return None


def _imported_files(source: Path) -> set[Path]:
    """Return the files of tfopt that a file imports; imports for type hints alone do not count."""
    found = set()
    for node in _statements(source):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tfopt":
            found |= {_file(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {_file(alias.name) for alias in node.names if alias.name.startswith("tfopt.")}
    return found - {None, source}


def _package(source: Path) -> str:
    return source.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package):
    sources = [source for source in ROOT.rglob("*.py") if _package(source) == package]
    assert sources
    allowed = {*ORDER[: ORDER.index(package) + 1], "__version__"}
    wrong = {str(s.relative_to(ROOT)): sorted(set(_imports(s)) - allowed) for s in sources}
    assert not {source: names for source, names in wrong.items() if names}


def _circle(imported: dict) -> list:
    """Return what imports itself through others, and what imports that."""
    left = dict(imported)
    while free := [one for one, others in left.items() if not others & left.keys()]:
        for one in free:
            del left[one]
    return sorted(left)


def test_no_files_import_each_other_in_a_circle():
    files = {source: _imported_files(source) for source in ROOT.rglob("*.py") if source.name != "__init__.py"}
    assert not _circle(files)


FOLDERS = sorted(
    {path.parent for path in ROOT.rglob("*.py") if any(path.parent.glob("*/__init__.py"))} - {ROOT}
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_sub_packages_import_each_other_one_way(folder):
    """Of the rooms in a package, sub-packages and single files, none imports another in a circle."""

    def room(file: Path) -> str:
        return file.relative_to(folder).parts[0].removesuffix(".py")

    rooms: dict[str, set[str]] = {}
    for source in folder.rglob("*.py"):
        if source.parent != folder or source.name != "__init__.py":
            inside = {file for file in _imported_files(source) if file.is_relative_to(folder)}
            assert folder / "__init__.py" not in inside, f"{source} imports the package that it is a part of"
            rooms.setdefault(room(source), set()).update({room(file) for file in inside} - {room(source)})
    assert not _circle(rooms)


LARGER = {"schedules"}
"""Packages whose files are one of a kind each, which nobody reads one after another."""


def test_folders_are_of_a_size_to_look_over():
    sizes = {file.parent: len([*file.parent.glob("*.py")]) for file in ROOT.rglob("*.py")}
    assert not {folder: n for folder, n in sizes.items() if n > 16 and folder.name not in LARGER}


def test_the_library_prints_nothing():
    """The command line prints, with click; a run shows its progress on a console of its own."""

    def printed(source: Path) -> bool:
        return any(
            isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            for node in ast.walk(ast.parse(source.read_text()))
        )

    assert not [str(source.relative_to(ROOT)) for source in ROOT.rglob("*.py") if printed(source)]


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
        "import tfopt, keras",
        "import keras, tfopt",
        "from tfopt.optimizers import Adan",
        "from tfopt.export import to_tflite",
        pytest.param("import tfopt; tfopt.graph", marks=pytest.mark.slow),
        pytest.param("import tfopt.recipe.recipe", marks=pytest.mark.slow),
        pytest.param("from tfopt.pipeline.training import compilation", marks=pytest.mark.slow),
        pytest.param("import tfopt.pruning.masks", marks=pytest.mark.slow),
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


def test_the_page_on_architecture_names_what_there_is():
    page = (ROOT.parent / "docs" / "architecture.md").read_text()
    table = page.split("## Where to find it")[1].split("## Contracts")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", table)
    assert len(named) > 20
    assert not [path for path in named if not [*ROOT.rglob(path)]]
