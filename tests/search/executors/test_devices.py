"""Threads are divided and GPUs dealt out."""

import subprocess
from types import SimpleNamespace

import pytest

from tfopt.search.executors import devices


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with eight CPUs whose user said nothing."""
    monkeypatch.setattr(devices, "cpus", lambda: 8)
    for name in (*devices._THREADS, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices.shutil, "which", lambda _: None)


@pytest.mark.parametrize(("workers", "threads"), [(2, "4"), (3, "2"), (8, "1"), (20, "1")])
def test_threads_are_divided(workers, threads):
    made = devices.environments(workers)
    assert len(made) == workers
    assert all(each == dict.fromkeys(devices._THREADS, threads) for each in made)


def test_what_the_user_says_of_threads_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    (made, _) = devices.environments(2)
    assert "OMP_NUM_THREADS" not in made
    assert made["TF_NUM_INTRAOP_THREADS"] == "4"


@pytest.mark.parametrize(
    ("visible", "workers", "dealt", "shared"),
    [
        ("0,1,2", 3, ["0", "1", "2"], False),
        ("2,5", 2, ["2", "5"], False),
        ("GPU-ab, GPU-cd", 3, ["GPU-ab", "GPU-cd", "GPU-ab"], True),
        ("0,1", 1, ["0"], False),
        ("-1", 2, [None, None], False),
        ("", 2, [None, None], False),
        ("1,-1,2", 2, ["1", "1"], True),
    ],
)
def test_gpus_are_dealt_out(monkeypatch, visible, workers, dealt, shared):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    made = devices.environments(workers)
    assert [each.get("CUDA_VISIBLE_DEVICES") for each in made] == dealt
    assert [each.get("TF_FORCE_GPU_ALLOW_GROWTH") == "true" for each in made] == [shared] * workers


def test_gpus_are_listed_by_the_driver(monkeypatch):
    listed = (
        "GPU 0: NVIDIA H200 (UUID: GPU-a)\nGPU 1: NVIDIA H200 (UUID: GPU-b)\n  MIG 1g Device 0: (UUID: M)\n"
    )
    answer = SimpleNamespace(returncode=0, stdout=listed)
    monkeypatch.setattr(devices.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert devices.visible_gpus() == ["0", "1"]
    answer.returncode = 9  # a driver that does not run
    assert devices.visible_gpus() == []
