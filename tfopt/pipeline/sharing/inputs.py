"""What the result of each stage of a run depends on, as a digest: that of the run so far, not of all of it.

The fingerprint of a run covers its last stage too, so two runs of one search that only differ there have
different ones. The digest of a stage covers the model that the run begins with, everything that all stages
share, and the stages up to this one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import keras

from tfopt import distribute
from tfopt.pipeline import fingerprint
from tfopt.pipeline.run_plan import AsGiven, PlannedStage, RunPlan, gpus
from tfopt.pruning.masks import unsaved_masks
from tfopt.run.environment import environment
from tfopt.stages.distill import Distill
from tfopt.stages.file_scheme import scheme_of_file
from tfopt.stages.prune import Prune
from tfopt.stages.quantize_aware import QuantizeAware
from tfopt.stages.teaching import teacher_of
from tfopt.stages.train import Train

_WITHOUT_SCHEME = (AsGiven, Train, Distill, Prune, QuantizeAware)
"""Stages that do the same whatever the pipeline exports."""


def stage_inputs(plan: RunPlan, source: str) -> dict[int, str]:
    """Return number of a stage -> SHA-256 of all that its result depends on, as 64 hex digits.

    A run has no digest of a stage, nor of those after it, whose result depends on what cannot be described:
    a stage of the user's own that trains without a field `epochs`, since nobody knows its optimizer before.
    With such a callback, it has none at all. Names of layers count, because rules of later stages go by them,
    and so do versions and the machine: another one rounds otherwise.

    Call it before the first stage takes its optimizer.

    Args:
        plan: of the run.
        source: the code of the recipe. A config names functions and classes, and does not hold their code.
    """
    config = plan.config
    callbacks = config.new_callbacks()
    if not fingerprint.are_described(callbacks):
        return {}
    digest = fingerprint.fingerprint(
        {
            "model": fingerprint.without_addresses([type(plan.model).__name__, plan.model.get_config()]),
            "variables": fingerprint.variables_digest(plan.model),
            "masks": unsaved_masks(plan.model),
            "compilation": {
                name: _optimizer(part) if name == "optimizer" else fingerprint.without_addresses(part)
                for name, part in config.compilation.config.items()
            },
            "callbacks": fingerprint.callback_configs(callbacks),
            "data": config.data.describe(),
            "seed": config.seed,
            "batch size": config.batch_size,
            "strategy": distribute.describe(config.strategy),
            "environment": environment(gpus()).to_json(),
            "source": source,
        }
    )
    found: dict[int, str] = {}
    for planned in plan.stages:
        if not _is_described(planned):
            break
        digest = fingerprint.fingerprint({"before": digest, **_own_inputs(planned, plan)})
        found[planned.number] = digest
    return found


def _is_described(planned: PlannedStage) -> bool:
    return hasattr(planned.stage, "epochs") or type(planned.stage).__module__.startswith("tfopt.")


def _optimizer(config: Any) -> Any:
    """Return the config of an optimizer, whose name means nothing."""
    return fingerprint.without_made_up_names(config)


def _own_inputs(planned: PlannedStage, plan: RunPlan) -> dict[str, Any]:
    """Return what a stage depends on beside the model that it is given and what all stages share."""
    stage = planned.stage
    optimizer = plan.optimizers.get(planned.number)
    teacher = teacher_of(stage)
    file = teacher.file if teacher else None
    return {
        "stage": stage.get_config(),
        "number": planned.number,  # of which its seed is made
        "optimizer": optimizer and _optimizer(keras.saving.serialize_keras_object(optimizer)),
        "teacher": file and hashlib.sha256(Path(file).read_bytes()).hexdigest(),
        "scheme": None if type(stage) in _WITHOUT_SCHEME else scheme_of_file(plan.config.stages),
    }
