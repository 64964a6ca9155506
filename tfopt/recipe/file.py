"""Reading a recipe file."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tfopt.errors import RecipeError, TfoptError

if TYPE_CHECKING:
    import keras_tuner


def load_recipe(path: str | os.PathLike[str]) -> Callable[[keras_tuner.HyperParameters], Any]:
    """Return the `build` of a recipe file. The file is executed; what cannot work is found before that.

    Raises:
        RecipeError: there is no such file, it is no Python, it lacks `build`, or it fails when executed.
    """
    path = Path(path)
    source = source_of(path)
    try:
        tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        text = getattr(error, "msg", None) or error
        raise RecipeError(f"{path}, line {line or '?'}: {text}.") from error
    if not _binds(tree, "build"):
        raise RecipeError(
            f"{path} has no build: expected a function `def build(hp)` that returns a tfopt.Recipe."
        )

    made = module_of(path, f"tfopt_recipe_{path.stem}")
    if made is None:
        raise RecipeError(f"Cannot read the recipe {path}: its name must end in .py.")
    module, run = made
    calling(path, "the recipe", run)
    build = module.build
    if not callable(build):
        raise RecipeError(
            f"{path}: build must be a function of hp that returns a tfopt.Recipe, got {build!r}."
        )

    return lambda hp: calling(path, "build(hp)", lambda: build(hp))


def module_of(path: Path, name: str) -> tuple[ModuleType, Callable[[], None]] | None:
    """Return a module for a Python file and what runs the file in it; None for a file that is not `.py`.

    Args:
        path: of the file.
        name: of the module, under which Keras looks up its classes when it loads a model that holds them.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    loader = None if spec is None else spec.loader
    if spec is None or loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module

    def run() -> None:
        with _neighbours_importable(path):
            loader.exec_module(module)

    return module, run


def calling(path: str | Path, what: str, function: Callable[[], Any]) -> Any:
    """Call what a recipe wrote; say in one line where it failed."""
    try:
        return function()
    except TfoptError:
        raise
    except SystemExit as error:
        raise RecipeError(
            f"{path}: {what} ended the program with exit({error.code!r}). Raise an error, or return."
        ) from error
    except Exception as error:
        frame, line = error.__traceback__, None
        while frame is not None:
            if Path(frame.tb_frame.f_code.co_filename) in (Path(path), Path(path).resolve()):
                line = frame.tb_lineno
            frame = frame.tb_next
        where = f"{path}, line {line}" if line else str(path)
        reason = " ".join(str(error).split())
        raise RecipeError(f"{where}: {what} raised {type(error).__name__}: {reason.rstrip('.')}.") from error


def source_of(path: Path) -> str:
    """Return the text of a recipe file.

    Raises:
        RecipeError: there is none, or it is something else, such as a model.
    """
    _require_no_model(path)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"No such recipe: {path}.") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no text, so it is no recipe: give the Python file.") from error
    except OSError as error:
        raise RecipeError(f"Cannot read the recipe {path}: {error.strerror or error}.") from error


def _require_no_model(path: Path) -> None:
    """Raise where somebody gives a model in the place of a recipe."""
    if path.suffix == ".tflite":
        raise RecipeError(
            f"{path} is a TFLite file, not a recipe: see what it holds with tfopt inspect {path}, measure it "
            f"with tfopt bench {path}."
        )
    if path.suffix in (".keras", ".h5", ".hdf5") or (path / "saved_model.pb").exists():
        raise RecipeError(
            f"{path} is a model, not a recipe. To quantize a trained model without training: "
            f"tfopt export {path} --data FOLDER. To prune it or train it quantization-aware, write a recipe: "
            f"a Python file with build(hp) whose model is keras.models.load_model({str(path)!r})."
        )
    if path.is_dir():
        raise RecipeError(f"{path} is a folder, not a recipe: give the Python file with build(hp).")


@contextlib.contextmanager
def _neighbours_importable(path: Path) -> Iterator[None]:
    """Let a recipe import the files next to it, as a script can."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _binds(tree: ast.Module, name: str) -> bool:
    """Return whether a module can have the global `name`: defined, assigned or imported."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=found) | ast.ClassDef(name=found) | ast.Name(id=found, ctx=ast.Store()):
                if found == name:
                    return True
            case ast.alias(name=found, asname=alias):
                if (alias or found) in (name, "*"):
                    return True
    return False
