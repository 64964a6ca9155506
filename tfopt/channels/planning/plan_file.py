"""A plan as text, so that a run that was cut off goes on with what it had decided."""

from __future__ import annotations

import json

import keras
import numpy as np

from tfopt.channels.planning.named_groups import named_groups
from tfopt.channels.planning.plan import ChannelPlan, GroupPlan
from tfopt.channels.prunable import prunable
from tfopt.errors import RunError


def to_json(plan: ChannelPlan) -> str:
    """Return a plan as JSON text."""
    groups = named_groups(plan.dependencies)
    keep = {name: np.flatnonzero(plan.keep[group.units]).tolist() for name, group in groups.items()}
    return json.dumps({**plan.to_dict(), "keep": keep}, indent=1)


def from_json(text: str, model: keras.Model) -> ChannelPlan:
    """Return the plan that `to_json` made a text of, for the same model.

    Raises:
        RunError: the text is damaged, or of another model.
    """
    found = prunable(model)
    try:
        content = json.loads(text)
        widths = [GroupPlan(**{**each, "layers": tuple(each["layers"])}) for each in content["widths"]]
        kept, importance = content["keep"], content["importance"]
        costs = {name: (before, after) for name, (before, after) in content["costs"].items()}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"A plan of channels cannot be read: {error!r}.") from error
    groups = named_groups(found)
    sizes = {name: len(group.units) for name, group in groups.items()}
    if sizes != {group.name: group.before for group in widths} or sizes.keys() != kept.keys():
        raise RunError(f"A plan of channels is not one of the model {model.name!r}.")
    keep = np.zeros(found.count, bool)
    for name, group in groups.items():
        keep[group.units[kept[name]]] = True
    return ChannelPlan(
        groups=tuple(widths),
        frozen=found.frozen,
        costs=costs,
        importance=importance,
        keep=keep,
        dependencies=found,
        note=str(content.get("note", "")),
    )
