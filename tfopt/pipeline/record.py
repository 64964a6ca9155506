"""The record of a run as it begins; the stages fill it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfopt import distribute
from tfopt.errors import TfoptError
from tfopt.pipeline.compilation import output_names
from tfopt.pipeline.plan import Plan, Step
from tfopt.run.environment import command, environment
from tfopt.run.run_folder import SCHEMA


def new_record(plan: Plan, path: Path, fingerprint: str, parts: dict[str, str]) -> dict[str, Any]:
    """Return what `run.json` says before the first stage."""
    return {
        "schema": SCHEMA,
        "name": plan.name,
        "id": path.name,
        "fingerprint": fingerprint,
        "parts": {name: digest[:8] for name, digest in parts.items()},
        "status": "running",
        "error": None,
        "created": now(),
        "finished": None,
        "seconds": 0.0,
        "command": command(),
        "recipe": plan.recipe,
        "seed": plan.seed,
        "batch_size": plan.batch_size,
        "strategy": distribute.describe(plan.strategy),
        "data": plan.data.describe(),
        "model": {
            "name": plan.model.name,
            "parameters": plan.model.count_params(),
            "outputs": output_names(plan.model),
        },
        "warnings": list(plan.warnings),
        "environment": environment(),
        "stages": [pending(step) for step in plan.steps],
    }


def pending(step: Step) -> dict[str, Any]:
    """Return what `run.json` says of a stage before it begins."""
    return {
        "number": step.number,
        "name": step.name,
        "title": step.stage.title,
        "config": step.stage.get_config(),
        "status": "pending",
        "seconds": 0.0,
    }


def now() -> str:
    """Return the time in ISO 8601, with the zone."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def one_line(error: BaseException) -> str:
    """Return an error as one line; a defect keeps the name of its kind."""
    kind = "" if isinstance(error, TfoptError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
