"""What cannot work is said before anything runs."""

import importlib.util
import socket

import pytest

import tfopt.search.conduct
from tfopt.errors import InvalidArgumentError, RunError
from tfopt.search import search
from tfopt.search.executors.engines import check_engine


def check(**given):
    check_engine(**{"engine": "local", "workers": None, "address": None, "resources": None, **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workers": 0}, "workers to be a whole number >= 1, got 0"),
        ({"workers": 1.5}, "workers to be a whole number >= 1, got 1.5"),
        ({"engine": "dask"}, "engine to be one of 'local', 'ray', got 'dask'"),
        (
            {"address": "auto"},
            r"address='auto' is for engine=\"ray\" \(--engine ray\); the engine is 'local'",
        ),
        ({"resources": {"CPU": 2}}, "resources={'CPU': 2} is for engine"),
    ],
)
def test_arguments(tmp_path, given, message):
    recipe = tmp_path / "recipe.py"
    recipe.write_text("raise SystemExit('was run')")
    with pytest.raises(InvalidArgumentError, match=message):
        search(recipe, **given)


def test_without_ray(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InvalidArgumentError, match=r'The engine ray needs Ray: pip install "tfopt\[ray\]"'):
        check(engine="ray")


def test_resources_of_ray():
    pytest.importorskip("ray")
    with pytest.raises(InvalidArgumentError, match="CPU=4 to be numbers above 0, got GPU=0"):
        check(engine="ray", resources={"GPU": 0})


@pytest.mark.parametrize("scheme", ["ray://", ""])
def test_an_address_that_nobody_answers(tmp_path, scheme):
    pytest.importorskip("ray")
    recipe = tmp_path / "recipe.py"
    recipe.write_text("def build(hp):\n    raise SystemExit('was run')\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(
        RunError, match=f"No Ray cluster answers at {address}: .*refused. Start one with `ray"
    ):
        search(recipe, engine="ray", address=address, out=tmp_path)
    assert not (tmp_path / "trials").exists()


def test_a_system_without_locks_has_one_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(tfopt.search.conduct, "SUPPORTED", False)
    with pytest.raises(InvalidArgumentError, match="no file locks by which several workers could share"):
        tfopt.search.conduct.conduct(None, spending=None, seed=0, slots=[None, None], runs=tmp_path)
