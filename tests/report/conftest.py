import copy
import json
from pathlib import Path

import pytest

RECORD = json.loads((Path(__file__).parent / "run.json").read_text())


@pytest.fixture
def record():
    """The record of a complete run; each test may change its own."""
    return copy.deepcopy(RECORD)


@pytest.fixture
def cut_off(record):
    """The record of a run that failed in its third stage, before any latency was measured."""
    record["status"], record["error"] = "failed", "No space left on device."
    record["stages"] = record["stages"][:3]
    record["stages"][2] = {"name": "quantize_aware", "title": "quantization-aware", "status": "running"}
    for stage in record["stages"][:2]:
        stage["latency"] = None
    return record
