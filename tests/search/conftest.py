import os

import pytest


@pytest.fixture(autouse=True)
def _disks_are_not_waited_for(monkeypatch):
    """These tests write thousands of small files."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
